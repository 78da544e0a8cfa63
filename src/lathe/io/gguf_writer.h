// Writes a GGUF file (version 3; format: io/gguf.h) as a stream, atomically: first the values in
// their order, then the tensors are announced, then their bytes follow in the same order, in pieces
// of any size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "lathe/io/atomic_file.h"
#include "lathe/io/gguf.h"

namespace lathe {

class GgufWriter {
 public:
  // A power of two, else kFormat; written as `general.alignment` unless it is what a file without
  // that key has.
  explicit GgufWriter(const std::filesystem::path& path, uint32_t alignment = 32);

  // T is bool or a type of number that GgufType has. Like the other functions before write(), these
  // throw kFormat for a key that is empty, not UTF-8 or there already.
  template <class T>
  void add(std::string_view key, T value);
  void add_text(std::string_view key, std::string_view text);
  template <class T>
  void add_list(std::string_view key, std::span<const T> items);
  void add_texts(std::string_view key, std::span<const std::string> texts);
  // A value of another file, unchanged.
  void add_value(std::string_view key, const GgufValue& value);

  // Throws kFormat for a name that is there already or has more than 63 bytes (llama.cpp's limit),
  // an unknown dtype, more than 4 dimensions, and as gguf_tensor_bytes().
  void announce(std::string_view name, std::string_view dtype, std::span<const int64_t> shape);

  // The size of the file once all announced tensors are written; before write() is called.
  uint64_t planned_bytes() const;

  const std::filesystem::path& path() const { return file_.path(); }

  // The next bytes of the announced tensors, without padding.
  void write(std::span<const std::byte> bytes);
  // Throws kFormat unless exactly the announced bytes were written.
  void commit();

 private:
  void key(std::string_view key, GgufType type);
  void list(GgufType element, uint64_t count);
  void begin_data();
  void pad();

  AtomicFile file_;
  uint32_t alignment_;
  std::string values_, tensors_;  // the encoded lists, until the data begin
  uint64_t value_count_ = 0, offset_ = 0;
  std::unordered_set<std::string> keys_, names_;
  std::vector<uint64_t> sizes_;  // of the announced tensors
  size_t current_ = 0;           // the tensor that is being written
  uint64_t written_ = 0;         // bytes of it
  bool data_begun_ = false;
};

}  // namespace lathe
