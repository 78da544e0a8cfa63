#include "lathe/io/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/io/gguf_layout.h"
#include "lathe/tensor/blocks/block_type.h"

namespace lathe {
namespace {

static_assert(std::endian::native == std::endian::little, "the data is little-endian");

constexpr int kMaxDepth = 4;

// The bytes that are still to be read.
class Cursor {
 public:
  Cursor(std::span<const std::byte> file, std::string_view where) : file_(file), where_(where) {}

  size_t at() const { return at_; }
  uint64_t left() const { return file_.size() - at_; }

  std::span<const std::byte> take(uint64_t size, std::string_view what) {
    require(size <= left(), ErrorKind::kFormat, where_,
            "{} at byte {} needs {} bytes, but {} are left; the file is truncated or damaged", what,
            at_, size, left());
    const auto bytes = file_.subspan(at_, size);
    at_ += size;
    return bytes;
  }

  template <class T>
  T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  // A count of things that take at least `each` bytes.
  uint64_t count(uint64_t each, std::string_view what) {
    const size_t from = at_;
    const auto n = number<uint64_t>(what);
    require(n <= left() / each, ErrorKind::kFormat, where_,
            "{} at byte {} is {}, more than the {} bytes left can hold; the file is truncated or "
            "damaged",
            what, from, n, left());
    return n;
  }

  std::string_view text(std::string_view what) {
    const auto bytes = take(number<uint64_t>(what), what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  // A key or a tensor's name: it is shown in messages.
  std::string_view name(std::string_view what) {
    const size_t from = at_;
    const std::string_view name = text(what);
    require(!name.empty() && is_valid_utf8(name), ErrorKind::kFormat, where_,
            "{} at byte {} is empty or not UTF-8", what, from);
    return name;
  }

  template <class... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorKind::kFormat, where_, format, std::forward<Args>(args)...);
  }

 private:
  std::span<const std::byte> file_;
  std::string_view where_;
  size_t at_ = 0;
};

GgufType read_type(Cursor& in, std::string_view key) {
  const auto type = in.number<uint32_t>("a type");
  if (type > static_cast<uint32_t>(GgufType::kFloat64))
    in.bad("key '{}': type {} is unknown, expected 0 to 12", key, type);
  return static_cast<GgufType>(type);
}

GgufValue read_list(Cursor& in, std::string_view key, int depth) {
  if (depth > kMaxDepth) in.bad("key '{}': lists are nested more than {} deep", key, kMaxDepth);
  GgufValue list{GgufType::kArray, read_type(in, key), 0, {}};
  const uint64_t size = gguf_size(list.element);
  list.count = in.count(size == 0 ? gguf_min_size(list.element) : size, "a list's count");
  if (size > 0) {
    list.bytes = in.take(list.count * size, "a list");
    return list;
  }
  Cursor begin = in;
  for (uint64_t i = 0; i < list.count; ++i) {
    if (list.element == GgufType::kString)
      in.text("a list's string");
    else
      read_list(in, key, depth + 1);
  }
  list.bytes = begin.take(in.at() - begin.at(), "a list");
  return list;
}

GgufValue read_value(Cursor& in, GgufType type, std::string_view key) {
  if (type == GgufType::kArray) return read_list(in, key, 1);
  if (type == GgufType::kString)
    return {type, type, 1, std::as_bytes(std::span(in.text("a string")))};
  return {type, type, 1, in.take(gguf_size(type), "a value")};
}

std::vector<GgufMetadata::Entry> read_entries(Cursor& in, uint64_t count) {
  std::vector<GgufMetadata::Entry> entries;
  entries.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const std::string_view key = in.name("a key");
    entries.push_back({key, read_value(in, read_type(in, key), key)});
  }
  return entries;
}

struct TensorPlace {
  ArraySpan array;
  uint64_t offset, bytes;
};

TensorPlace read_tensor(Cursor& in, std::string_view where, uint32_t alignment) {
  TensorPlace tensor;
  tensor.array.name = in.name("a tensor's name");
  const std::string& name = tensor.array.name;
  const auto dimensions = in.number<uint32_t>("a tensor's dimensions");
  if (dimensions > kGgufMaxDimensions)
    in.bad("tensor '{}' has {} dimensions, expected at most {}", name, dimensions,
           kGgufMaxDimensions);
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto extent = in.number<uint64_t>("a tensor's extent");
    if (extent > uint64_t{INT64_MAX}) in.bad("tensor '{}' has the extent {}", name, extent);
    tensor.array.shape.insert(tensor.array.shape.begin(), static_cast<int64_t>(extent));
  }
  const auto id = in.number<uint32_t>("a tensor's type");
  const BlockType* type = find_block_type(id);
  if (type == nullptr) in.bad("tensor '{}' has the unknown type {}", name, id);
  tensor.array.dtype = type->name;
  tensor.bytes = gguf_tensor_bytes(where, name, *type, tensor.array.shape);
  tensor.offset = in.number<uint64_t>("a tensor's offset");
  if (tensor.offset % alignment != 0)
    in.bad("tensor '{}' begins at byte {} of the data, which is not a multiple of the alignment {}",
           name, tensor.offset, alignment);
  return tensor;
}

// Throws unless no tensor begins before the one ahead of it has ended.
void check_overlap(const std::vector<TensorPlace>& tensors, std::string_view where) {
  std::vector<const TensorPlace*> order;
  for (const TensorPlace& tensor : tensors)
    if (tensor.bytes > 0) order.push_back(&tensor);
  std::ranges::sort(order, {}, &TensorPlace::offset);
  for (size_t i = 1; i < order.size(); ++i) {
    const TensorPlace &before = *order[i - 1], &after = *order[i];
    require(before.bytes <= after.offset - before.offset, ErrorKind::kFormat, where,
            "tensors '{}' and '{}' overlap", before.array.name, after.array.name);
  }
}

std::vector<ArraySpan> place_tensors(Cursor& in, std::vector<TensorPlace> tensors,
                                     std::string_view where, uint32_t alignment) {
  std::vector<ArraySpan> arrays;
  if (tensors.empty()) return arrays;
  check_overlap(tensors, where);
  in.take((alignment - in.at() % alignment) % alignment, "the padding before the data");
  const auto data = in.take(in.left(), "the data");
  std::unordered_map<std::string_view, size_t> names;
  for (TensorPlace& tensor : tensors) {
    require(tensor.offset <= data.size() && tensor.bytes <= data.size() - tensor.offset,
            ErrorKind::kFormat, where,
            "tensor '{}' takes {} bytes from byte {} of the data, which has {}; the file is "
            "truncated",
            tensor.array.name, tensor.bytes, tensor.offset, data.size());
    require(names.emplace(tensor.array.name, names.size()).second, ErrorKind::kFormat, where,
            "tensor '{}' is there twice", tensor.array.name);
    tensor.array.bytes = data.subspan(tensor.offset, tensor.bytes);
  }
  for (TensorPlace& tensor : tensors) arrays.push_back(std::move(tensor.array));
  return arrays;
}

uint32_t read_version(Cursor& in, std::string_view where) {
  const auto version = in.number<uint32_t>("the version");
  // Versions are small: the other byte order has the digits at the other end.
  require(version == 0 || (version & 0xFFFF) != 0, ErrorKind::kFormat, where,
          "is a big-endian GGUF file; convert it to little-endian (gguf-convert-endian of the gguf "
          "package)");
  require(version == 2 || version == 3, ErrorKind::kFormat, where,
          "is GGUF of version {}, expected 2 or 3; convert the model anew", version);
  return version;
}

uint32_t read_alignment(const GgufMetadata& metadata) {
  const auto alignment = metadata.get<uint32_t>("general.alignment");
  if (!alignment) return kGgufAlignment;
  require(std::has_single_bit(*alignment), ErrorKind::kFormat, metadata.where(),
          "key 'general.alignment': got {}, expected a power of two", *alignment);
  return *alignment;
}

}  // namespace

bool is_gguf(std::span<const std::byte> file) {
  return file.size() >= kGgufMagic.size() &&
         std::memcmp(file.data(), kGgufMagic.data(), kGgufMagic.size()) == 0;
}

GgufContent parse_gguf(std::span<const std::byte> file, std::string_view where) {
  require(is_gguf(file), ErrorKind::kFormat, where, "is not a GGUF file: it begins otherwise");
  Cursor in(file, where);
  in.take(kGgufMagic.size(), "the magic");
  const uint32_t version = read_version(in, where);
  constexpr uint64_t kLeastTensor = 8 + 1 + 4 + 4 + 8, kLeastValue = 8 + 1 + 4 + 1;
  const uint64_t tensor_count = in.count(kLeastTensor, "the number of tensors");
  GgufMetadata metadata(std::string(where),
                        read_entries(in, in.count(kLeastValue, "the number of values")));
  const uint32_t alignment = read_alignment(metadata);
  std::vector<TensorPlace> tensors;
  for (uint64_t i = 0; i < tensor_count; ++i) tensors.push_back(read_tensor(in, where, alignment));
  auto arrays = place_tensors(in, std::move(tensors), where, alignment);
  return {version, alignment, std::move(metadata), std::move(arrays)};
}

namespace {

// "-00001-of-00003.gguf"
std::string part_ending(int64_t number, int64_t count) {
  return fmt::format("-{:05}-of-{:05}.gguf", number, count);
}

}  // namespace

GgufReader::GgufReader(const std::filesystem::path& path) {
  read_one(path, [this](std::span<const std::byte> file, std::string_view where) {
    content_.emplace(parse_gguf(file, where));
    return std::move(content_->tensors);
  });
  if (metadata().get<int64_t>("split.count").value_or(1) > 1) read_further_parts(path);
}

void GgufReader::read_further_parts(const std::filesystem::path& first) {
  const auto count = metadata().need<int64_t>("split.count");
  const std::string name = first.string(), ending = part_ending(1, count);
  require(metadata().need<int64_t>("split.no") == 0 && name.ends_with(ending), ErrorKind::kFormat,
          name, "is one of {} parts of a model, but not the first; give the file that ends in {}",
          count, ending);
  const std::string stem = name.substr(0, name.size() - ending.size());
  for (int64_t part = 1; part < count; ++part)
    read_one(stem + part_ending(part + 1, count), [&](std::span<const std::byte> file,
                                                      std::string_view where) {
      GgufContent content = parse_gguf(file, where);
      require(content.metadata.need<int64_t>("split.no") == part &&
                  content.metadata.need<int64_t>("split.count") == count,
              ErrorKind::kFormat, where, "is not part {} of {} of {}", part + 1, count, name);
      for (const ArraySpan& tensor : content.tensors)
        require(find(tensor.name) == nullptr, ErrorKind::kFormat, where,
                "tensor '{}' is in another part, too", tensor.name);
      return std::move(content.tensors);
    });
  const auto tensors = metadata().get<int64_t>("split.tensors.count");
  require(!tensors || *tensors == std::ssize(arrays()), ErrorKind::kFormat, name,
          "the parts have {} tensors, expected {}; they do not belong together", arrays().size(),
          tensors.value_or(0));
}

}  // namespace lathe
