#include "lathe/infer/prefix_file.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/config/read_write.h"
#include "lathe/io/safetensors.h"

namespace lathe {
namespace {

using Link = PrefixIndex::Link;
using Entry = PrefixIndex::Entry;

constexpr const char* kFormat = "lathe.prefixes";
constexpr const char* kVersion = "3";

std::span<const std::byte> bytes_of(const std::vector<int32_t>& values) {
  return std::as_bytes(std::span(values));
}

// What the file has beside the rows, in the order of the index.
struct Table {
  std::vector<int32_t> parents, tokens;
  std::vector<std::vector<int32_t>> present;  // of each group, 0 or 1
  std::vector<const Entry*> entries;

  explicit Table(const PagedCache& cache) : present(cache.groups()) {
    std::map<uint64_t, int32_t> number;  // of a serial
    cache.index().for_each([&](const Link& link, const Entry& entry) {
      const auto parent = number.find(entry.parent);
      // Of a text with adapters, or one that cannot be found any more.
      if (entry.parent != 0 && parent == number.end()) return;
      number.emplace(link.serial, static_cast<int32_t>(entries.size()));
      parents.push_back(entry.parent == 0 ? -1 : parent->second);
      tokens.insert(tokens.end(), entry.tokens.begin(), entry.tokens.end());
      for (size_t g = 0; g < present.size(); ++g)
        present[g].push_back(entry.blocks[g] == PrefixIndex::kAbsent ? 0 : 1);
      entries.push_back(&entry);
    });
  }
};

// How the names of the arrays with rows begin, in the order of PagedCache::stores().
constexpr std::string_view kRows[] = {"k.", "v.", "k_scales.", "v_scales."};
bool has_rows(std::string_view name) {
  return std::ranges::any_of(kRows, [&](auto begin) { return name.starts_with(begin); });
}

// The types of the cache's groups: "int8", "bf16; bf16".
std::string types_of(const PagedCache& cache) {
  std::vector<std::string> types;
  for (size_t g = 0; g < cache.groups(); ++g) types.push_back(cache.group(g).types());
  return join(types, "; ");
}

// The arrays of a file of `count` entries, of which `present[g]` have a block in group g.
std::vector<SafetensorsWriter::Announced> arrays_of(const PagedCache& cache, int64_t count,
                                                    const std::vector<int64_t>& present) {
  std::vector<SafetensorsWriter::Announced> arrays = {
      {"parents", "I32", {count}}, {"tokens", "I32", {count, cache.block_size()}}};
  for (size_t g = 0; g < cache.groups(); ++g) {
    arrays.push_back({fmt::format("present.{}", g), "I32", {count}});
    for (const CachedRows& layer : cache.group(g).layers) {
      const auto add = [&](std::string_view what, DType dtype, const Shape& row) {
        std::vector<int64_t> shape{present[g]};
        const Shape block = BlockStore::block_shape(row, layer.heads(), cache.block_size());
        for (int i = 0; i < block.rank(); ++i) shape.push_back(block[i]);
        arrays.push_back({fmt::format("{}{}.{}.{}", what, g, static_cast<int>(layer.layer.kind),
                                      layer.layer.index),
                          std::string(safetensors_name(dtype)), shape});
      };
      add(kRows[0], layer.kept(), layer.k);
      if (layer.has_v) add(kRows[1], layer.kept(), layer.v);
      if (!layer.has_scales()) continue;
      add(kRows[2], DType::kF32, Shape{layer.k[0]});
      add(kRows[3], DType::kF32, Shape{layer.v[0]});
    }
  }
  return arrays;
}

// write(bytes) for everything in the order of arrays_of().
template <class F>
void for_each_piece(const PagedCache& cache, const Table& table, F&& write) {
  write(bytes_of(table.parents));
  write(bytes_of(table.tokens));
  for (size_t g = 0; g < cache.groups(); ++g) {
    write(bytes_of(table.present[g]));
    for (size_t store = 0; store < cache.stores(g); ++store)
      for (const Entry* entry : table.entries)
        if (entry->blocks[g] != PrefixIndex::kAbsent)
          write(std::span<const std::byte>(cache.rows_of(g, store, entry->blocks[g])));
  }
}

SafetensorsMetadata metadata_of(const PagedCache& cache, const std::string& identity,
                                const std::string& content) {
  return {{"format", kFormat},
          {"version", kVersion},
          {"identity", identity},
          {"block_size", std::to_string(cache.block_size())},
          {"cache_precision", types_of(cache)},
          {"content", content}};
}

// A file that has been checked: all arrays that it must have, of the right types and shapes.
class CheckedFile {
 public:
  CheckedFile(const PagedCache& cache, const std::string& identity, int64_t vocabulary,
              const std::filesystem::path& path)
      : where_(path.string()), reader_(path) {
    const auto parents = reader_.find("parents");
    refuse_unless(parents != nullptr && parents->shape.size() == 1 && parents->dtype == "I32",
                  "it has no list of parents");
    count = parents->shape[0];
    check_metadata(cache, identity);
    check_arrays(cache);
    check_entries(cache, vocabulary);
  }

  int32_t parent(int64_t i) const { return number("parents", i); }
  std::vector<int32_t> tokens(int64_t i, int64_t block_size) const {
    std::vector<int32_t> all;
    for (int64_t j = 0; j < block_size; ++j) all.push_back(number("tokens", i * block_size + j));
    return all;
  }
  bool present(size_t g, int64_t i) const { return number(fmt::format("present.{}", g), i) == 1; }
  // Block `nth` of those that group g has, to the rows of a block of the cache.
  void fill(size_t g, int64_t nth, const PagedCache& cache, int32_t block) const {
    for (size_t store = 0; store < cache.stores(g); ++store) {
      const std::span<std::byte> rows = cache.rows_of(g, store, block);
      std::ranges::copy(
          rows_[g][store]->bytes.subspan(static_cast<size_t>(nth) * rows.size(), rows.size()),
          rows.begin());
    }
  }
  int64_t count = 0;

 private:
  void refuse_unless(bool holds, const std::string& what) const {
    require(holds, ErrorKind::kFormat, where_, "{}; save the prefixes again", what);
  }
  int32_t number(const std::string& array, int64_t i) const {
    int32_t value = 0;
    std::memcpy(&value, reader_.find(array)->bytes.data() + i * 4, sizeof(value));
    return value;
  }
  void check_metadata(const PagedCache& cache, const std::string& identity) const {
    const auto expect = [&](const char* key, const std::string& wanted) {
      const auto found = reader_.metadata().find(key);
      const std::string got = found == reader_.metadata().end() ? "none" : found->second;
      refuse_unless(got == wanted,
                    fmt::format("its {} is \"{}\", expected \"{}\"", key, got, wanted));
    };
    expect("format", kFormat);
    expect("version", kVersion);
    expect("identity", identity);
    expect("block_size", std::to_string(cache.block_size()));
    expect("cache_precision", types_of(cache));
    Hasher hasher;
    for (const ArraySpan& array : reader_.arrays()) hasher.update(array.bytes);
    expect("content", hasher.hex());
  }
  void check_arrays(const PagedCache& cache) {
    std::vector<int64_t> present_in;
    for (size_t g = 0; g < cache.groups(); ++g) {
      const ArraySpan* array = reader_.find(fmt::format("present.{}", g));
      refuse_unless(
          array != nullptr && array->dtype == "I32" && array->shape == std::vector<int64_t>{count},
          fmt::format("it does not say what group {} has", g));
      int64_t sum = 0;
      for (int64_t i = 0; i < count; ++i) sum += present(g, i);
      present_in.push_back(sum);
    }
    rows_.resize(cache.groups());
    const auto wanted = arrays_of(cache, count, present_in);
    refuse_unless(
        wanted.size() == reader_.arrays().size(),
        fmt::format("it has {} arrays, expected {}", reader_.arrays().size(), wanted.size()));
    for (size_t i = 0, g = 0; i < wanted.size(); ++i) {
      const ArraySpan& got = reader_.arrays()[i];
      refuse_unless(got.name == wanted[i].name && got.dtype == wanted[i].dtype &&
                        got.shape == wanted[i].shape,
                    fmt::format("array {} is \"{}\" of {}, expected \"{}\" of {} of another shape "
                                "or place",
                                i, got.name, got.dtype, wanted[i].name, wanted[i].dtype));
      if (got.name.starts_with("present.")) g = i == 2 ? 0 : g + 1;
      if (has_rows(got.name)) rows_[g].push_back(&got);
    }
  }
  void check_entries(const PagedCache& cache, int64_t vocabulary) const {
    for (int64_t i = 0; i < count; ++i) {
      refuse_unless(parent(i) >= -1 && parent(i) < i,
                    fmt::format("entry {} follows entry {}", i, parent(i)));
      for (const int32_t token : tokens(i, cache.block_size()))
        refuse_unless(token >= 0 && token < vocabulary,
                      fmt::format("id {} is outside the vocabulary of {}", token, vocabulary));
    }
  }

  std::string where_;
  SafetensorsReader reader_;
  std::vector<std::vector<const ArraySpan*>> rows_;
};

}  // namespace

std::string cache_identity(const Transformer& model) {
  Hasher hasher;
  ModelConfig config = model.config();
  hasher.update(write_config(config).dump());
  hasher.update(kernels::kernels_for(Device::kCpu).level);
  for (const Parameter* p : model.parameters()) {
    const Tensor value =
        p->value.packed() != nullptr ? p->value.packed()->dense(DType::kF32) : p->value.tensor();
    hasher.update(fmt::format("{} {} {}", p->name, name_of(value.dtype()), value.shape()));
    const Tensor whole = value.contiguous() ? value : value.clone();
    hasher.update(std::span<const std::byte>(whole.raw(), whole.bytes()));
  }
  return hasher.hex();
}

int64_t save_prefixes(const PagedCache& cache, const std::string& identity,
                      const std::filesystem::path& path) {
  const Table table(cache);
  std::vector<int64_t> present;
  for (const auto& of_group : table.present) present.push_back(std::ranges::count(of_group, 1));
  Hasher hasher;
  for_each_piece(cache, table, [&](std::span<const std::byte> bytes) { hasher.update(bytes); });
  const auto count = std::ssize(table.entries);
  SafetensorsWriter writer(path, arrays_of(cache, count, present),
                           metadata_of(cache, identity, hasher.hex()));
  for_each_piece(cache, table, [&](std::span<const std::byte> bytes) { writer.write(bytes); });
  writer.commit();
  return count;
}

int64_t load_prefixes(PagedCache& cache, const std::string& identity, int64_t vocabulary,
                      const std::filesystem::path& path) {
  const CheckedFile file(cache, identity, vocabulary, path);
  std::vector<std::optional<Link>> links;
  std::vector<int64_t> nth(cache.groups(), 0);
  int64_t added = 0;
  for (int64_t i = 0; i < file.count; ++i) {
    std::vector<bool> present;
    for (size_t g = 0; g < cache.groups(); ++g) present.push_back(file.present(g, i));
    const std::optional<Link> parent =
        file.parent(i) < 0 ? Link() : links[static_cast<size_t>(file.parent(i))];
    const auto inserted =
        parent ? cache.insert(*parent, file.tokens(i, cache.block_size()), present) : std::nullopt;
    links.push_back(inserted ? std::optional(inserted->link) : std::nullopt);
    added += inserted.has_value();
    for (size_t g = 0; g < cache.groups(); ++g) {
      if (inserted && inserted->blocks[g] != PrefixIndex::kAbsent)
        file.fill(g, nth[g], cache, inserted->blocks[g]);
      nth[g] += present[g];
    }
  }
  return added;
}

}  // namespace lathe
