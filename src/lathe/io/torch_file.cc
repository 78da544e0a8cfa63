#include "lathe/io/torch_file.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "lathe/base/error.h"
#include "lathe/io/safetensors.h"
#include "lathe/io/torch_pickle.h"
#include "lathe/io/zip_file.h"

namespace lathe {
namespace {

constexpr std::string_view kPickle = "data.pkl";

struct Archive {
  std::string_view folder;  // in which all entries lie, "archive/"
  std::unordered_map<std::string_view, std::span<const std::byte>> entries;

  std::optional<std::span<const std::byte>> find(std::string_view name) const {
    const auto it = entries.find(std::string(folder) + std::string(name));
    if (it == entries.end()) return std::nullopt;
    return it->second;
  }
};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Archive open_archive(std::span<const std::byte> file, std::string_view where) {
  require(looks_like_zip(file), ErrorKind::kFormat, where,
          "is not the zip archive that torch.save writes since PyTorch 1.6; save it again with a "
          "newer release, or convert it to safetensors");
  Archive archive;
  for (const ZipEntry& entry : stored_zip_entries(file, where)) {
    archive.entries.emplace(entry.name, entry.bytes);
    const size_t slash = entry.name.find('/');
    if (slash != std::string_view::npos && entry.name.substr(slash + 1) == kPickle)
      archive.folder = entry.name.substr(0, slash + 1);
  }
  const auto order = archive.find("byteorder");
  require(!order || text_of(*order) == "little", ErrorKind::kFormat, where,
          "was written on a big-endian machine; convert it to safetensors there");
  return archive;
}

// The number of elements, all of which lie within the storage.
int64_t checked_elements(const TorchView& v, std::string_view where) {
  int64_t elements = 1, last = v.offset;
  bool overflow = false;
  for (const int64_t extent : v.shape)
    overflow |= __builtin_mul_overflow(elements, extent, &elements);
  for (size_t d = 0; elements > 0 && d < v.shape.size(); ++d) {
    int64_t reach = 0;
    overflow |= __builtin_mul_overflow(v.shape[d] - 1, v.strides[d], &reach) ||
                __builtin_add_overflow(last, reach, &last);
  }
  require(!overflow && (elements == 0 || last < v.storage_elements), ErrorKind::kFormat, where,
          "'{}' reaches outside its storage of {} elements", v.name, v.storage_elements);
  // A view of more elements than there are, such as expand() makes, must see one twice; as a copy
  // it could be of any size.
  require(elements <= v.storage_elements, ErrorKind::kFormat, where,
          "'{}' sees elements of its storage more than once; save contiguous tensors", v.name);
  return elements;
}

bool row_major(const TorchView& v) {
  int64_t stride = 1;
  for (size_t d = v.shape.size(); d-- > 0; stride *= v.shape[d])
    if (v.shape[d] != 1 && v.strides[d] != stride) return false;
  return true;
}

// Element after element in row-major order, of a view whose elements lie within the storage.
void gather(const TorchView& v, std::span<const std::byte> storage, size_t size,
            std::span<std::byte> out) {
  struct Axis {
    int64_t extent, stride, index;
  };
  std::vector<Axis> axes;  // without those of one element, whose strides may be anything
  for (size_t d = 0; d < v.shape.size(); ++d)
    if (v.shape[d] > 1) axes.push_back({v.shape[d], v.strides[d], 0});
  int64_t at = v.offset;
  for (size_t to = 0; to < out.size(); to += size) {
    std::memcpy(out.data() + to, storage.data() + static_cast<size_t>(at) * size, size);
    for (size_t d = axes.size(); d-- > 0;) {
      Axis& axis = axes[d];
      at += axis.stride;
      if (++axis.index < axis.extent) break;
      at -= axis.stride * axis.extent;
      axis.index = 0;
    }
  }
}

class ViewReader {
 public:
  ViewReader(const Archive& archive, std::string_view where, size_t file_bytes, ArrayCopies& copies)
      : archive_(archive), where_(where), may_copy_(file_bytes), copies_(copies) {}

  ArraySpan read(const TorchView& v) {
    const auto storage = archive_.find("data/" + std::string(v.storage));
    require(storage.has_value(), ErrorKind::kFormat, where_,
            "has no entry data/{}, the storage of '{}'", v.storage, v.name);
    const auto size = static_cast<size_t>(safetensors_dtype_size(v.dtype).value());
    require(static_cast<uint64_t>(v.storage_elements) <= storage->size() / size, ErrorKind::kFormat,
            where_, "data/{} has {} bytes, too few for the {} elements of {} that '{}' needs",
            v.storage, storage->size(), v.storage_elements, v.dtype, v.name);
    const size_t bytes = static_cast<size_t>(checked_elements(v, where_)) * size;
    ArraySpan array{std::string(v.name), std::string(v.dtype), v.shape, {}};
    if (bytes == 0) return array;
    array.bytes = row_major(v) ? storage->subspan(static_cast<size_t>(v.offset) * size, bytes)
                               : copy(v, *storage, size, bytes);
    return array;
  }

 private:
  std::span<const std::byte> copy(const TorchView& v, std::span<const std::byte> storage,
                                  size_t size, size_t bytes) {
    require(bytes <= may_copy_, ErrorKind::kFormat, where_,
            "has more transposed tensors than bytes ('{}' is one); save contiguous tensors",
            v.name);
    may_copy_ -= bytes;
    auto& memory = copies_.emplace_back(bytes);
    gather(v, storage, size, memory);
    return memory;
  }

  const Archive& archive_;
  std::string_view where_;
  size_t may_copy_;  // bytes that may still be copied
  ArrayCopies& copies_;
};

}  // namespace

std::vector<ArraySpan> parse_torch_file(std::span<const std::byte> file, std::string_view where,
                                        ArrayCopies& copies) {
  const Archive archive = open_archive(file, where);
  const auto pickle = archive.find(kPickle);
  require(pickle.has_value(), ErrorKind::kFormat, where,
          "is an archive without the entry {} of torch.save", kPickle);
  ViewReader reader(archive, where, file.size(), copies);
  std::vector<ArraySpan> arrays;
  for (const TorchView& view : parse_torch_pickle(text_of(*pickle), where))
    arrays.push_back(reader.read(view));
  return arrays;
}

TorchReader::TorchReader(const std::filesystem::path& path) {
  read(path, kFileName, [this](std::span<const std::byte> file, std::string_view where) {
    return parse_torch_file(file, where, copies_);
  });
}

}  // namespace lathe
