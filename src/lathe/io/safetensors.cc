#include "lathe/io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "lathe/base/error.h"
#include "lathe/config/json_text.h"
#include "lathe/tensor/dtype.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
static_assert(std::endian::native == std::endian::little, "the data is little-endian");

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kMaxDimensions = 64;
constexpr std::string_view kMetadataKey = "__metadata__";

// The types that safetensors has beside those of a Tensor.
struct OtherDtype {
  std::string_view name;
  int64_t size;
};
constexpr OtherDtype kOtherDtypes[] = {{"I16", 2},     {"U64", 8},     {"U32", 4},
                                       {"U16", 2},     {"BOOL", 1},    {"F8_E4M3", 1},
                                       {"F8_E5M2", 1}, {"F8_E8M0", 1}, {"C64", 8}};

struct Entry {
  ArraySpan array;
  uint64_t begin, end;
};

// Bytes of an array of this shape. Throws when the dtype is unknown or the product overflows.
uint64_t byte_size(std::string_view where, std::string_view name, std::string_view dtype,
                   std::span<const int64_t> shape) {
  const auto size = safetensors_dtype_size(dtype);
  require(size.has_value(), ErrorKind::kFormat, where, "array '{}' has the unknown dtype '{}'",
          name, dtype);
  uint64_t bytes = static_cast<uint64_t>(*size);
  for (const int64_t extent : shape) {
    require(extent >= 0, ErrorKind::kFormat, where, "array '{}' has the negative extent {}", name,
            extent);
    require(!__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes) &&
                bytes <= static_cast<uint64_t>(INT64_MAX),
            ErrorKind::kFormat, where, "array '{}' has a shape whose size overflows", name);
  }
  return bytes;
}

uint64_t unsigned_of(const Json& value, std::string_view where, std::string_view name,
                     std::string_view what) {
  require(value.is_number_unsigned() && value.get<uint64_t>() <= uint64_t{INT64_MAX},
          ErrorKind::kFormat, where, "array '{}' has a {} that is not a non-negative integer", name,
          what);
  return value.get<uint64_t>();
}

Entry read_entry(const std::string& name, const Json& value, std::string_view where) {
  require(value.is_object() && value.size() == 3, ErrorKind::kFormat, where,
          "array '{}' should have exactly dtype, shape and data_offsets", name);
  const auto dtype = value.find("dtype"), shape = value.find("shape"),
             offsets = value.find("data_offsets");
  require(dtype != value.end() && dtype->is_string(), ErrorKind::kFormat, where,
          "array '{}' has no dtype", name);
  require(shape != value.end() && shape->is_array() && shape->size() <= kMaxDimensions,
          ErrorKind::kFormat, where, "array '{}' has no shape of at most {} extents", name,
          kMaxDimensions);
  require(offsets != value.end() && offsets->is_array() && offsets->size() == 2, ErrorKind::kFormat,
          where, "array '{}' has no pair of data_offsets", name);
  Entry entry{{name, dtype->get<std::string>(), {}, {}},
              unsigned_of((*offsets)[0], where, name, "data offset"),
              unsigned_of((*offsets)[1], where, name, "data offset")};
  for (const auto& extent : *shape)
    entry.array.shape.push_back(
        static_cast<int64_t>(unsigned_of(extent, where, name, "shape extent")));
  const uint64_t bytes = byte_size(where, name, entry.array.dtype, entry.array.shape);
  require(entry.begin <= entry.end && entry.end - entry.begin == bytes, ErrorKind::kFormat, where,
          "array '{}' takes bytes {} to {}, but its shape and dtype need {} bytes", name,
          entry.begin, entry.end, bytes);
  return entry;
}

void read_metadata(const Json& value, std::string_view where, SafetensorsMetadata* metadata) {
  require(value.is_object(), ErrorKind::kFormat, where, "__metadata__ is not an object");
  for (const auto& [key, text] : value.items()) {
    require(text.is_string(), ErrorKind::kFormat, where, "__metadata__ '{}' is not a string", key);
    if (metadata != nullptr) (*metadata)[key] = text.get<std::string>();
  }
}

}  // namespace

std::optional<int64_t> safetensors_dtype_size(std::string_view dtype) {
  if (const auto ours = dtype_from_safetensors(dtype)) return static_cast<int64_t>(size_of(*ours));
  for (const auto& other : kOtherDtypes)
    if (other.name == dtype) return other.size;
  return std::nullopt;
}

std::vector<ArraySpan> parse_safetensors(std::span<const std::byte> file, std::string_view where,
                                         SafetensorsMetadata* metadata) {
  uint64_t length = 0;
  require(file.size() >= sizeof(length), ErrorKind::kFormat, where,
          "has {} bytes, too few for a safetensors file; it is truncated or something else",
          file.size());
  std::memcpy(&length, file.data(), sizeof(length));
  require(length <= kMaxHeaderBytes && length <= file.size() - sizeof(length), ErrorKind::kFormat,
          where,
          "declares a header of {} bytes in a file of {}; it is truncated or not safetensors",
          length, file.size());
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + sizeof(length),
                                length);
  const auto data = file.subspan(sizeof(length) + length);
  const Json tree = parse_json(header, where,
                               {.depth = 8, .values = 5'000'000, .error_kind = ErrorKind::kFormat});
  require(tree.is_object(), ErrorKind::kFormat, where, "the header is not a JSON object");

  std::vector<Entry> entries;
  for (const auto& [name, value] : tree.items()) {
    if (name == kMetadataKey)
      read_metadata(value, where, metadata);
    else
      entries.push_back(read_entry(name, value, where));
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t at = 0;
  std::vector<ArraySpan> arrays;
  arrays.reserve(entries.size());
  for (auto& entry : entries) {
    require(entry.begin == at, ErrorKind::kFormat, where,
            "array '{}' begins at byte {}, expected {}: arrays overlap or leave a hole",
            entry.array.name, entry.begin, at);
    require(entry.end <= data.size(), ErrorKind::kFormat, where,
            "array '{}' ends at byte {} of {}; the file is truncated", entry.array.name, entry.end,
            data.size());
    entry.array.bytes = data.subspan(entry.begin, entry.end - entry.begin);
    at = entry.end;
    arrays.push_back(std::move(entry.array));
  }
  require(at == data.size(), ErrorKind::kFormat, where,
          "{} bytes follow the last array; the file is damaged", data.size() - at);
  return arrays;
}

SafetensorsReader::SafetensorsReader(const std::filesystem::path& path) {
  read(path, kFileName, [this](std::span<const std::byte> file, std::string_view where) {
    return parse_safetensors(file, where, &metadata_);
  });
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     std::span<const Announced> arrays,
                                     const SafetensorsMetadata& metadata)
    : file_(path) {
  const std::string where = path.string();
  Json::object_t entries;  // appended to directly: looking names up would make this quadratic
  if (!metadata.empty()) entries.emplace_back(std::string(kMetadataKey), Json(metadata));
  std::unordered_set<std::string_view> names;
  for (const auto& array : arrays) {
    require(array.name != kMetadataKey && names.insert(array.name).second, ErrorKind::kFormat,
            where, "the array name '{}' is used twice or reserved", array.name);
    const uint64_t bytes = byte_size(where, array.name, array.dtype, array.shape);
    Json entry = Json::object();
    entry["dtype"] = array.dtype;
    entry["shape"] = array.shape;
    entry["data_offsets"] = {announced_, announced_ + bytes};
    announced_ += bytes;
    entries.emplace_back(array.name, std::move(entry));
  }
  std::string header = Json(std::move(entries)).dump();
  header.resize((header.size() + 7) / 8 * 8, ' ');
  require(header.size() <= kMaxHeaderBytes, ErrorKind::kFormat, where,
          "would need a header of {} bytes, above the format's 100 MB", header.size());
  const uint64_t length = header.size();
  append(std::as_bytes(std::span(&length, 1)));
  append(std::as_bytes(std::span(header)));
}

std::vector<SafetensorsWriter::Announced> SafetensorsWriter::announce(
    std::span<const ArraySpan> arrays) {
  std::vector<Announced> announced;
  for (const auto& array : arrays) announced.push_back({array.name, array.dtype, array.shape});
  return announced;
}

void SafetensorsWriter::append(std::span<const std::byte> bytes) {
  hasher_.update(bytes);
  file_.write(bytes);
}

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  written_ += bytes.size();
  append(bytes);
}

void SafetensorsWriter::commit() {
  require(written_ == announced_, ErrorKind::kFormat, file_.path().string(),
          "{} bytes of data were written, but the header declares {}", written_, announced_);
  file_.commit();
}

void write_safetensors(const std::filesystem::path& path, std::span<const ArraySpan> arrays,
                       const SafetensorsMetadata& metadata) {
  SafetensorsWriter writer(path, SafetensorsWriter::announce(arrays), metadata);
  for (const auto& array : arrays) writer.write(array.bytes);
  writer.commit();
}

}  // namespace lathe
