#include "lathe/io/gguf_writer.h"

#include <algorithm>
#include <bit>
#include <type_traits>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/io/gguf_layout.h"
#include "lathe/tensor/blocks/block_type.h"

namespace lathe {
namespace {

constexpr size_t kLongestTensorName = 63;

template <class T>
constexpr GgufType type_of() {
  if constexpr (std::is_same_v<T, bool>) return GgufType::kBool;
  if constexpr (std::is_same_v<T, uint8_t>) return GgufType::kUint8;
  if constexpr (std::is_same_v<T, int8_t>) return GgufType::kInt8;
  if constexpr (std::is_same_v<T, uint16_t>) return GgufType::kUint16;
  if constexpr (std::is_same_v<T, int16_t>) return GgufType::kInt16;
  if constexpr (std::is_same_v<T, uint32_t>) return GgufType::kUint32;
  if constexpr (std::is_same_v<T, int32_t>) return GgufType::kInt32;
  if constexpr (std::is_same_v<T, uint64_t>) return GgufType::kUint64;
  if constexpr (std::is_same_v<T, int64_t>) return GgufType::kInt64;
  if constexpr (std::is_same_v<T, float>) return GgufType::kFloat32;
  if constexpr (std::is_same_v<T, double>) return GgufType::kFloat64;
}

void put(std::string& out, const void* from, size_t size) {
  out.append(static_cast<const char*>(from), size);
}

template <class T>
void put_number(std::string& out, T value) {
  put(out, &value, sizeof(T));
}

void put_text(std::string& out, std::string_view text) {
  put_number<uint64_t>(out, text.size());
  out += text;
}

uint64_t padding(uint64_t at, uint32_t alignment) {
  return (alignment - at % alignment) % alignment;
}

}  // namespace

GgufWriter::GgufWriter(const std::filesystem::path& path, uint32_t alignment)
    : file_(path), alignment_(alignment) {
  require(std::has_single_bit(alignment), ErrorKind::kFormat, path.string(),
          "cannot have the alignment {}, expected a power of two", alignment);
  if (alignment != kGgufAlignment) add<uint32_t>("general.alignment", alignment);
}

void GgufWriter::key(std::string_view key, GgufType type) {
  const std::string where = file_.path().string();
  require(!data_begun_, ErrorKind::kFormat, where, "key '{}' comes behind the data", key);
  require(!key.empty() && is_valid_utf8(key), ErrorKind::kFormat, where,
          "a key is empty or not UTF-8");
  require(keys_.emplace(key).second, ErrorKind::kFormat, where, "key '{}' is there already", key);
  put_text(values_, key);
  put_number(values_, static_cast<uint32_t>(type));
  ++value_count_;
}

void GgufWriter::list(GgufType element, uint64_t count) {
  put_number(values_, static_cast<uint32_t>(element));
  put_number(values_, count);
}

template <class T>
void GgufWriter::add(std::string_view name, T value) {
  key(name, type_of<T>());
  put_number(values_, value);
}

void GgufWriter::add_text(std::string_view name, std::string_view text) {
  key(name, GgufType::kString);
  put_text(values_, text);
}

template <class T>
void GgufWriter::add_list(std::string_view name, std::span<const T> items) {
  key(name, GgufType::kArray);
  list(type_of<T>(), items.size());
  put(values_, items.data(), items.size_bytes());
}

void GgufWriter::add_texts(std::string_view name, std::span<const std::string> texts) {
  key(name, GgufType::kArray);
  list(GgufType::kString, texts.size());
  for (const std::string& text : texts) put_text(values_, text);
}

void GgufWriter::add_value(std::string_view name, const GgufValue& value) {
  key(name, value.type);
  if (value.type == GgufType::kArray) list(value.element, value.count);
  if (value.type == GgufType::kString) put_number<uint64_t>(values_, value.bytes.size());
  put(values_, value.bytes.data(), value.bytes.size());
}

void GgufWriter::announce(std::string_view name, std::string_view dtype,
                          std::span<const int64_t> shape) {
  const std::string where = file_.path().string();
  require(!data_begun_, ErrorKind::kFormat, where, "tensor '{}' is announced behind data", name);
  require(!name.empty() && name.size() <= kLongestTensorName && is_valid_utf8(name),
          ErrorKind::kFormat, where, "the tensor name '{}' has {} bytes, expected 1 to {} of UTF-8",
          replace_invalid_utf8(name), name.size(), kLongestTensorName);
  require(names_.emplace(name).second, ErrorKind::kFormat, where, "tensor '{}' is there already",
          name);
  const BlockType* type = find_block_type(dtype);
  require(type != nullptr && type->id != kNoGgufType, ErrorKind::kFormat, where,
          "tensor '{}' has the type {}, which GGUF does not have", name, dtype);
  require(shape.size() <= kGgufMaxDimensions &&
              std::ranges::all_of(shape, [](int64_t n) { return n >= 0; }),
          ErrorKind::kFormat, where,
          "tensor '{}' has {} dimensions, expected at most {}, none negative", name, shape.size(),
          kGgufMaxDimensions);
  const uint64_t bytes = gguf_tensor_bytes(where, name, *type, shape);
  put_text(tensors_, name);
  put_number(tensors_, static_cast<uint32_t>(shape.size()));
  for (size_t i = shape.size(); i-- > 0;) put_number(tensors_, static_cast<uint64_t>(shape[i]));
  put_number(tensors_, type->id);
  put_number(tensors_, offset_);
  sizes_.push_back(bytes);
  offset_ += bytes + padding(bytes, alignment_);
}

uint64_t GgufWriter::planned_bytes() const {
  const uint64_t head = kGgufMagic.size() + sizeof(uint32_t) + 2 * sizeof(uint64_t) +
                        values_.size() + tensors_.size();
  return head + padding(head, alignment_) + offset_;
}

void GgufWriter::begin_data() {
  if (data_begun_) return;
  data_begun_ = true;
  std::string head(kGgufMagic);
  put_number<uint32_t>(head, 3);
  put_number<uint64_t>(head, sizes_.size());
  put_number<uint64_t>(head, value_count_);
  file_.write(head);
  file_.write(std::exchange(values_, {}));
  file_.write(std::exchange(tensors_, {}));
  pad();
}

void GgufWriter::pad() { file_.write(std::string(padding(file_.size(), alignment_), '\0')); }

void GgufWriter::write(std::span<const std::byte> bytes) {
  begin_data();
  while (true) {
    while (current_ < sizes_.size() && written_ == sizes_[current_]) {
      pad();
      ++current_;
      written_ = 0;
    }
    if (bytes.empty()) return;
    require(current_ < sizes_.size(), ErrorKind::kFormat, file_.path().string(),
            "{} more bytes are written than the tensors have", bytes.size());
    const auto part = bytes.first(std::min<uint64_t>(bytes.size(), sizes_[current_] - written_));
    file_.write(part);
    written_ += part.size();
    bytes = bytes.subspan(part.size());
  }
}

void GgufWriter::commit() {
  write({});
  require(current_ == sizes_.size(), ErrorKind::kFormat, file_.path().string(),
          "tensor {} of {} has {} of its {} bytes", current_ + 1, sizes_.size(), written_,
          current_ < sizes_.size() ? sizes_[current_] : 0);
  file_.commit();
}

#define LATHE_GGUF_NUMBER(T)                                 \
  template void GgufWriter::add<T>(std::string_view key, T); \
  template void GgufWriter::add_list<T>(std::string_view key, std::span<const T>);
LATHE_GGUF_NUMBER(bool)
LATHE_GGUF_NUMBER(uint8_t)
LATHE_GGUF_NUMBER(int8_t)
LATHE_GGUF_NUMBER(uint16_t)
LATHE_GGUF_NUMBER(int16_t)
LATHE_GGUF_NUMBER(uint32_t)
LATHE_GGUF_NUMBER(int32_t)
LATHE_GGUF_NUMBER(uint64_t)
LATHE_GGUF_NUMBER(int64_t)
LATHE_GGUF_NUMBER(float)
LATHE_GGUF_NUMBER(double)
#undef LATHE_GGUF_NUMBER

}  // namespace lathe
