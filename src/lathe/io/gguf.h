// GGUF: the file format of llama.cpp, a list of keys with typed values and a list of tensors.
//
//   "GGUF"            u32 version (2 or 3)
//   u64 tensors       u64 values
//   values            key, u32 type, value
//   tensors           name, u32 dimensions, u64 each (the contiguous one first), u32 type,
//                     u64 offset in the data, a multiple of the alignment
//   padding           to the alignment: `general.alignment`, 32 without that key
//   data              of the tensors
//
// A string is a u64 length and its bytes; a list is the u32 type of its elements, a u64 count and
// the elements. All of it is little-endian. Version 1 had 32-bit lengths; version 3 only added
// files of the other byte order. Both of these are refused.
//
// Format: docs/gguf.md of https://github.com/ggml-org/ggml.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lathe/io/array_reader.h"

namespace lathe {

enum class GgufType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

std::string_view name_of(GgufType type);  // "UINT8"

// A value as it stands in the file.
struct GgufValue {
  GgufType type = GgufType::kUint8;
  GgufType element = GgufType::kUint8;  // of a list; otherwise as `type`
  uint64_t count = 1;                   // elements of a list
  std::span<const std::byte> bytes;     // a list's elements, a string's text, a number
};

// "a list of 3 FLOAT32".
std::string describe(const GgufValue& value);

// The values of a file. They are views: the file's bytes must outlive them.
class GgufMetadata {
 public:
  struct Entry {
    std::string_view key;
    GgufValue value;
  };

  // `where` names the file in errors. Throws kFormat for a key given twice.
  GgufMetadata(std::string where, std::vector<Entry> entries);

  const std::string& where() const { return where_; }
  const std::vector<Entry>& entries() const { return entries_; }  // in the file's order
  const GgufValue* find(std::string_view key) const;              // nullptr when absent

  // The value of `key`; nullopt when it is absent. T is
  //   bool, std::string_view
  //   int32_t, uint32_t, int64_t, uint64_t   from every type of integer, if the value fits
  //   float, double                          from every type of number
  //   std::vector<T> of these                from a list
  //   std::span<const std::byte>             from a list of 8-bit integers
  // Throws kFormat, naming the file, the key and both types, for any other type, an integer out of
  // range and a truth value that is neither 0 nor 1.
  template <class T>
  std::optional<T> get(std::string_view key) const;
  // The same, but a key that is absent is kFormat.
  template <class T>
  T need(std::string_view key) const;

 private:
  template <class T>
  T read(std::string_view key, const GgufValue& value) const;
  template <class T>
  std::vector<T> read_list(std::string_view key, const GgufValue& list) const;
  template <class T>
  T read_number(std::string_view key, const GgufValue& value) const;
  [[noreturn]] void fail_type(std::string_view key, const GgufValue& got,
                              std::string_view expected) const;

  std::string where_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string_view, size_t> by_key_;
};

struct GgufContent {
  uint32_t version;
  uint32_t alignment;
  GgufMetadata metadata;
  // Shapes row-major as everywhere else: the contiguous dimension last. dtype: BlockType::name.
  std::vector<ArraySpan> tensors;
};

// The content of a file held in memory. Throws kFormat, naming `where`, for all that is not a valid
// file: counts and lengths beyond the end, unknown types, lists nested more than 4 deep, keys and
// tensors named twice, more than 4 dimensions, sizes that overflow, rows that are not whole blocks,
// tensors that are not aligned, overlap or end behind the file. Nothing is allocated for a count
// that the bytes left cannot hold. The elements of lists are not copied.
GgufContent parse_gguf(std::span<const std::byte> file, std::string_view where);

// Whether a file begins as GGUF files of any version do.
bool is_gguf(std::span<const std::byte> file);

// A mapped file, or the first of several that gguf-split made: NAME-00001-of-00003.gguf. The values
// are the first file's, the tensors those of all.
class GgufReader : public ArrayReader {
 public:
  // Throws kIo when a file cannot be opened, kFormat for another part than the first, for parts that
  // do not belong together, and as parse_gguf().
  explicit GgufReader(const std::filesystem::path& path);

  uint32_t version() const { return content_->version; }
  const GgufMetadata& metadata() const { return content_->metadata; }

 private:
  void read_further_parts(const std::filesystem::path& first);

  std::optional<GgufContent> content_;  // of the first file
};

}  // namespace lathe
