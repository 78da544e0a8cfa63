// Named arrays of one file or of a set of files with an index: the common part of the readers of
// safetensors and of PyTorch's files. It does not know this project's tensors: arrays are dtype
// names, shapes and bytes. The bytes point into mappings and may be at any alignment.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lathe/io/mapped_file.h"

namespace lathe {

struct ArraySpan {
  std::string name;
  std::string dtype;  // "F32", "BF16", "F16", "F64", "I64", "I32", "U8", "BOOL", …
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

// The bytes live as long as the reader. Reading is thread-safe.
class ArrayReader {
 public:
  virtual ~ArrayReader() = default;

  const std::vector<ArraySpan>& arrays() const { return arrays_; }
  const ArraySpan* find(std::string_view name) const;  // null when absent
  std::vector<std::filesystem::path> files() const;
  // Gives back the memory of an array that has been copied and will not be read soon; nothing for one that is not in a
  // mapping of this reader.
  void drop(const ArraySpan& array) const;

 protected:
  ArrayReader() = default;
  ArrayReader(ArrayReader&&) = default;

  // The arrays of one file held in memory; `where` names it in errors.
  using Parse = std::function<std::vector<ArraySpan>(std::span<const std::byte> file,
                                                     std::string_view where)>;
  // A file, a sharded set through its index (.json), or a folder with `plain` or
  // `plain`.index.json, where the index takes precedence. Throws kIo when something cannot be
  // opened, kFormat for an index that names files outside its folder or arrays that its files do
  // not have, and what `parse` throws.
  void read(const std::filesystem::path& path, std::string_view plain, const Parse& parse);
  // One file, whatever its name.
  void read_one(const std::filesystem::path& path, const Parse& parse);
  // Arrays whose bytes the derived class owns; call once.
  void hold(std::vector<ArraySpan> arrays);

 private:
  void read_file(const std::filesystem::path& path, const Parse& parse);
  void read_index(const std::filesystem::path& path, const Parse& parse);
  void index_names();

  std::vector<MappedFile> files_;
  std::vector<ArraySpan> arrays_;
  std::unordered_map<std::string_view, size_t> by_name_;
};

// The weights of a model folder: safetensors if there are any, else PyTorch's pickled files
// (io/torch_file.h). Throws kIo if there are neither, and what the readers throw.
std::shared_ptr<const ArrayReader> open_weights(const std::filesystem::path& folder);
bool has_weights(const std::filesystem::path& folder);

}  // namespace lathe
