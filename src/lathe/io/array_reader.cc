#include "lathe/io/array_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "lathe/base/error.h"
#include "lathe/config/json_text.h"
#include "lathe/io/safetensors.h"
#include "lathe/io/torch_file.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kMaxIndexBytes = 100'000'000;

std::string index_of(std::string_view plain) { return std::string(plain) + ".index.json"; }

bool holds(const fs::path& folder, std::string_view plain) {
  std::error_code error;
  return fs::exists(folder / plain, error) || fs::exists(folder / index_of(plain), error);
}

}  // namespace

void ArrayReader::read(const fs::path& path, std::string_view plain, const Parse& parse) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    require(holds(path, plain), ErrorKind::kIo, path.string(), "has neither {} nor {}", plain,
            index_of(plain));
    const fs::path index = path / index_of(plain);
    if (fs::exists(index, error)) {
      read_index(index, parse);
    } else {
      read_file(path / plain, parse);
    }
  } else if (path.extension() == ".json") {
    read_index(path, parse);
  } else {
    read_file(path, parse);
  }
  index_names();
}

void ArrayReader::read_one(const fs::path& path, const Parse& parse) {
  read_file(path, parse);
  index_names();
}

void ArrayReader::hold(std::vector<ArraySpan> arrays) {
  arrays_ = std::move(arrays);
  index_names();
}

// From the beginning: a list that grew has moved the names that were indexed.
void ArrayReader::index_names() {
  by_name_.clear();
  by_name_.reserve(arrays_.size());
  for (size_t i = 0; i < arrays_.size(); ++i) by_name_.emplace(arrays_[i].name, i);
}

void ArrayReader::read_file(const fs::path& path, const Parse& parse) {
  files_.emplace_back(path);
  auto arrays = parse(files_.back().bytes(), path.string());
  std::move(arrays.begin(), arrays.end(), std::back_inserter(arrays_));
}

void ArrayReader::read_index(const std::filesystem::path& path, const Parse& parse) {
  const std::string where = path.string();
  const Json tree =
      parse_json(lathe::read_file(path, kMaxIndexBytes), where, {.error_kind = ErrorKind::kFormat});
  require(tree.is_object() && tree.contains("weight_map") && tree["weight_map"].is_object(),
          ErrorKind::kFormat, where, "has no object 'weight_map'");
  std::vector<std::string> names;  // of files, in the order of the index
  std::unordered_set<std::string> seen;
  std::unordered_map<std::string, std::string> file_of;
  for (const auto& [array, value] : tree["weight_map"].items()) {
    require(value.is_string(), ErrorKind::kFormat, where, "'{}' is not mapped to a file name",
            array);
    const auto file = value.get<std::string>();
    const bool plain = !file.empty() && file != "." && file != ".." &&
                       file.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    require(plain, ErrorKind::kFormat, where,
            "'{}' is mapped to '{}', expected the name of a file in the same folder", array, file);
    if (seen.insert(file).second) names.push_back(file);
    file_of[array] = file;
  }
  size_t found = 0;
  for (const auto& file : names) {
    const size_t first = arrays_.size();
    read_file(path.parent_path() / file, parse);
    // A file may hold arrays that the index gives to another file or to none: they are not part of
    // it.
    const auto dropped = std::remove_if(arrays_.begin() + static_cast<ptrdiff_t>(first),
                                        arrays_.end(), [&](const ArraySpan& a) {
                                          const auto it = file_of.find(a.name);
                                          return it == file_of.end() || it->second != file;
                                        });
    arrays_.erase(dropped, arrays_.end());
    found += arrays_.size() - first;
  }
  if (found == file_of.size()) return;
  std::unordered_set<std::string_view> present;
  for (const auto& array : arrays_) present.insert(array.name);
  for (const auto& [array, file] : file_of)
    require(present.contains(array), ErrorKind::kFormat, where,
            "maps '{}' to '{}', which does not have it", array, file);
}

const ArraySpan* ArrayReader::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &arrays_[it->second];
}

std::vector<fs::path> ArrayReader::files() const {
  std::vector<fs::path> paths;
  for (const auto& file : files_) paths.push_back(file.path());
  return paths;
}

void ArrayReader::drop(const ArraySpan& array) const {
  const std::byte *const begin = array.bytes.data(), *const end = begin + array.bytes.size();
  for (const MappedFile& file : files_) {
    const std::span<const std::byte> all = file.bytes();
    if (begin >= all.data() && end <= all.data() + all.size()) return file.drop(array.bytes);
  }
}

bool has_weights(const fs::path& folder) {
  return holds(folder, SafetensorsReader::kFileName) || holds(folder, TorchReader::kFileName);
}

std::shared_ptr<const ArrayReader> open_weights(const fs::path& folder) {
  if (holds(folder, SafetensorsReader::kFileName))
    return std::make_shared<SafetensorsReader>(folder);
  require(has_weights(folder), ErrorKind::kIo, folder.string(),
          "has no weights: neither {} nor {}, nor an index of either (.index.json)",
          SafetensorsReader::kFileName, TorchReader::kFileName);
  return std::make_shared<TorchReader>(folder);
}

}  // namespace lathe
