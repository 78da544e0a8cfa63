// The safetensors format: named arrays in one file.
//
//   u64 little-endian   n, the length of the header
//   n bytes             JSON: {"name": {"dtype": "F32", "shape": [..], "data_offsets": [begin,
//   end]}, …,
//                       "__metadata__": {"key": "text"}}; spaces may follow it
//   the rest            the data, row-major little-endian; offsets count from its start; no holes
//
// Format: https://github.com/huggingface/safetensors (format section).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/io/array_reader.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/hash.h"

namespace lathe {

using SafetensorsMetadata = std::map<std::string, std::string>;

// Bytes of one element; nullopt for a dtype the format does not have.
std::optional<int64_t> safetensors_dtype_size(std::string_view dtype);

// The arrays of one file held in memory, in the order of their data. `where` names it in errors.
// Throws kFormat for everything that is not a valid file: a header beyond the file or above 100 MB,
// broken JSON, duplicate names, unknown dtypes, sizes that overflow or do not match the shape,
// offsets out of range, overlapping or with holes between.
std::vector<ArraySpan> parse_safetensors(std::span<const std::byte> file, std::string_view where,
                                         SafetensorsMetadata* metadata = nullptr);

// A file, a sharded set through its index, or a folder holding model.safetensors or
// model.safetensors.index.json.
class SafetensorsReader : public ArrayReader {
 public:
  static constexpr std::string_view kFileName = "model.safetensors";

  // Errors as ArrayReader::read() and parse_safetensors().
  explicit SafetensorsReader(const std::filesystem::path& path);

  const SafetensorsMetadata& metadata() const { return metadata_; }

 private:
  SafetensorsMetadata metadata_;
};

// Writes a file as a stream, atomically: the arrays are declared first, then their bytes follow in
// the same order, in pieces of any size.
class SafetensorsWriter {
 public:
  struct Announced {
    std::string name, dtype;
    std::vector<int64_t> shape;
  };

  // Throws kFormat for duplicate names, unknown dtypes, negative or overflowing shapes.
  SafetensorsWriter(const std::filesystem::path& path, std::span<const Announced> arrays,
                    const SafetensorsMetadata& metadata = {});
  static std::vector<Announced> announce(std::span<const ArraySpan> arrays);

  // The next bytes of the data section.
  void write(std::span<const std::byte> bytes);
  // hash_file() of what was written so far.
  std::string hash() const { return hasher_.hex(); }
  // Throws kFormat unless exactly the declared number of bytes was written.
  void commit();

 private:
  void append(std::span<const std::byte> bytes);

  AtomicFile file_;
  Hasher hasher_;
  uint64_t announced_ = 0, written_ = 0;
};

// Writes all arrays at once.
void write_safetensors(const std::filesystem::path& path, std::span<const ArraySpan> arrays,
                       const SafetensorsMetadata& metadata = {});

}  // namespace lathe
