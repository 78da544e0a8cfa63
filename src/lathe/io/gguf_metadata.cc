// The values of a GGUF file, each with its type checked.
#include <array>
#include <cstring>
#include <type_traits>
#include <utility>

#include "lathe/base/error.h"
#include "lathe/io/gguf.h"
#include "lathe/io/gguf_layout.h"

namespace lathe {
namespace {

struct TypeInfo {
  std::string_view name;
  uint64_t size;
};
// Indexed by GgufType.
constexpr std::array<TypeInfo, 13> kTypes = {{{"UINT8", 1},
                                              {"INT8", 1},
                                              {"UINT16", 2},
                                              {"INT16", 2},
                                              {"UINT32", 4},
                                              {"INT32", 4},
                                              {"FLOAT32", 4},
                                              {"BOOL", 1},
                                              {"STRING", 0},
                                              {"ARRAY", 0},
                                              {"UINT64", 8},
                                              {"INT64", 8},
                                              {"FLOAT64", 8}}};

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// Calls f with the number at `at` in its own type; false when the type is no number.
template <class F>
bool with_number(GgufType type, const std::byte* at, F&& f) {
  switch (type) {
    case GgufType::kUint8:
      return f(load<uint8_t>(at)), true;
    case GgufType::kInt8:
      return f(load<int8_t>(at)), true;
    case GgufType::kUint16:
      return f(load<uint16_t>(at)), true;
    case GgufType::kInt16:
      return f(load<int16_t>(at)), true;
    case GgufType::kUint32:
      return f(load<uint32_t>(at)), true;
    case GgufType::kInt32:
      return f(load<int32_t>(at)), true;
    case GgufType::kUint64:
      return f(load<uint64_t>(at)), true;
    case GgufType::kInt64:
      return f(load<int64_t>(at)), true;
    case GgufType::kFloat32:
      return f(load<float>(at)), true;
    case GgufType::kFloat64:
      return f(load<double>(at)), true;
    case GgufType::kBool:
    case GgufType::kString:
    case GgufType::kArray:
      return false;
  }
  return false;
}

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

template <class T>
constexpr std::string_view expected_name() {
  if constexpr (std::is_same_v<T, bool>) return "BOOL";
  if constexpr (std::is_same_v<T, std::string_view>) return "STRING";
  if constexpr (std::is_integral_v<T>) return "an integer";
  return "a number";
}

// The next string of a list whose lengths have been checked.
std::string_view next_text(const std::byte*& at) {
  const auto size = load<uint64_t>(at);
  const std::string_view text(reinterpret_cast<const char*>(at) + sizeof(uint64_t), size);
  at += sizeof(uint64_t) + size;
  return text;
}

}  // namespace

std::string_view name_of(GgufType type) { return kTypes[static_cast<size_t>(type)].name; }

uint64_t gguf_size(GgufType type) { return kTypes[static_cast<size_t>(type)].size; }

uint64_t gguf_min_size(GgufType type) {
  constexpr uint64_t kString = 8, kList = 4 + 8;
  if (type == GgufType::kString) return kString;
  return type == GgufType::kArray ? kList : gguf_size(type);
}

uint64_t gguf_tensor_bytes(std::string_view where, std::string_view name, const BlockType& type,
                           std::span<const int64_t> shape) {
  const int64_t row = shape.empty() ? 1 : shape.back();
  require(row % type.block == 0, ErrorKind::kFormat, where,
          "tensor '{}' has rows of {} elements, which are not whole blocks of {} ({})", name, row,
          type.block, type.name);
  int64_t bytes = row / type.block;
  bool fits = !__builtin_mul_overflow(bytes, type.bytes, &bytes);
  for (size_t i = 0; i + 1 < shape.size(); ++i)
    fits = fits && !__builtin_mul_overflow(bytes, shape[i], &bytes);
  require(fits && bytes >= 0, ErrorKind::kFormat, where,
          "tensor '{}' has a shape whose size overflows", name);
  return static_cast<uint64_t>(bytes);
}

std::string describe(const GgufValue& value) {
  if (value.type != GgufType::kArray) return std::string(name_of(value.type));
  return fmt::format("a list of {} {}", value.count, name_of(value.element));
}

GgufMetadata::GgufMetadata(std::string where, std::vector<Entry> entries)
    : where_(std::move(where)), entries_(std::move(entries)) {
  by_key_.reserve(entries_.size());
  for (size_t i = 0; i < entries_.size(); ++i)
    require(by_key_.emplace(entries_[i].key, i).second, ErrorKind::kFormat, where_,
            "key '{}' is there twice", entries_[i].key);
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto at = by_key_.find(key);
  return at == by_key_.end() ? nullptr : &entries_[at->second].value;
}

void GgufMetadata::fail_type(std::string_view key, const GgufValue& got,
                             std::string_view expected) const {
  fail(ErrorKind::kFormat, where_, "key '{}': got {}, expected {}", key, describe(got), expected);
}

template <class T>
T GgufMetadata::read_number(std::string_view key, const GgufValue& value) const {
  T out{};
  const bool done = with_number(value.type, value.bytes.data(), [&](auto number) {
    if constexpr (std::is_floating_point_v<T>) {
      out = static_cast<T>(number);
    } else if constexpr (std::is_integral_v<decltype(number)>) {
      require(std::in_range<T>(number), ErrorKind::kFormat, where_,
              "key '{}': got {}, which is out of range", key, number);
      out = static_cast<T>(number);
    } else {
      fail_type(key, value, expected_name<T>());
    }
  });
  if (!done) fail_type(key, value, expected_name<T>());
  return out;
}

template <class T>
std::vector<T> GgufMetadata::read_list(std::string_view key, const GgufValue& list) const {
  constexpr bool kTexts = std::is_same_v<T, std::string_view>;
  if (list.type != GgufType::kArray || list.element == GgufType::kArray ||
      (list.count > 0 && (list.element == GgufType::kString) != kTexts))
    fail_type(key, list, fmt::format("a list of {}", expected_name<T>()));
  std::vector<T> items;
  items.reserve(list.count);
  const std::byte* at = list.bytes.data();
  for (uint64_t i = 0; i < list.count; ++i) {
    if constexpr (kTexts) {
      items.push_back(next_text(at));
    } else {
      const uint64_t size = gguf_size(list.element);
      items.push_back(read<T>(key, {list.element, list.element, 1, {at + i * size, size}}));
    }
  }
  return items;
}

template <class T>
T GgufMetadata::read(std::string_view key, const GgufValue& value) const {
  if constexpr (IsVector<T>::value) {
    return read_list<typename T::value_type>(key, value);
  } else if constexpr (std::is_same_v<T, std::span<const std::byte>>) {
    const bool bytes = value.type == GgufType::kArray &&
                       (value.element == GgufType::kUint8 || value.element == GgufType::kInt8);
    if (!bytes) fail_type(key, value, "a list of UINT8");
    return value.bytes;
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    if (value.type != GgufType::kString) fail_type(key, value, expected_name<T>());
    return {reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size()};
  } else if constexpr (std::is_same_v<T, bool>) {
    if (value.type != GgufType::kBool) fail_type(key, value, expected_name<T>());
    const auto truth = load<uint8_t>(value.bytes.data());
    require(truth <= 1, ErrorKind::kFormat, where_, "key '{}': got {}, expected 0 or 1", key,
            truth);
    return truth == 1;
  } else {
    return read_number<T>(key, value);
  }
}

template <class T>
std::optional<T> GgufMetadata::get(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  return read<T>(key, *value);
}

template <class T>
T GgufMetadata::need(std::string_view key) const {
  auto value = get<T>(key);
  require(value.has_value(), ErrorKind::kFormat, where_, "key '{}' is missing", key);
  return std::move(*value);
}

#define LATHE_GGUF_TYPE(T)                                                    \
  template std::optional<T> GgufMetadata::get<T>(std::string_view key) const; \
  template T GgufMetadata::need<T>(std::string_view key) const;
#define LATHE_GGUF_ITEM(T) LATHE_GGUF_TYPE(T) LATHE_GGUF_TYPE(std::vector<T>)
LATHE_GGUF_ITEM(bool)
LATHE_GGUF_ITEM(int32_t)
LATHE_GGUF_ITEM(uint32_t)
LATHE_GGUF_ITEM(int64_t)
LATHE_GGUF_ITEM(uint64_t)
LATHE_GGUF_ITEM(float)
LATHE_GGUF_ITEM(double)
LATHE_GGUF_ITEM(std::string_view)
LATHE_GGUF_TYPE(std::span<const std::byte>)
#undef LATHE_GGUF_ITEM
#undef LATHE_GGUF_TYPE

}  // namespace lathe
