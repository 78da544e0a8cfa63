#include <cstring>

#include "fuzz/fuzz.h"
#include "io/temp_folder.h"
#include "lathe/infer/prefix_file.h"

namespace lathe::fuzz {
namespace {

constexpr int64_t kVocabulary = 50;

// Two layers of different reach and type, without a model.
PagedCache small_cache() {
  std::vector<CacheGroup> groups;
  for (const int64_t reach : {CacheLayer::kAll, int64_t{3}}) {
    const CacheLayer layer{.index = std::ssize(groups), .reach = reach};
    CachedRows rows{layer, Shape{1, 2}, Shape{1, 3}, true, DType::kF32};
    if (reach != CacheLayer::kAll) rows.kept_as = DType::kI8;
    groups.push_back({.kind = layer.kind, .reach = reach, .layers = {rows}});
  }
  return PagedCache(std::move(groups), {.block_size = 2, .blocks = {4, 4}});
}

}  // namespace

// What is accepted can be found and held.
void check(std::string_view bytes) {
  const TempFolder folder;
  folder.write("f", bytes);
  PagedCache cache = small_cache();
  const int64_t added = load_prefixes(cache, "identity", kVocabulary, folder / "f");
  promise(added <= 4);
  std::vector<std::vector<int32_t>> texts;
  cache.index().for_each([&](const PrefixIndex::Link&, const PrefixIndex::Entry& entry) {
    texts.push_back(entry.tokens);
  });
  for (std::vector<int32_t> text : texts) {
    text.push_back(0);
    const PagedCache::Id id = cache.open();
    promise(cache.adopt(id, text, 2) <= 2);
    cache.close(id);
  }
  for (size_t g = 0; g < cache.groups(); ++g) promise(cache.pool(g).held() == 0);
}

std::vector<Seed> seeds() {
  PagedCache cache = small_cache();
  const auto first = cache.insert({}, std::vector<int32_t>{1, 2}, {true, true});
  cache.insert(first->link, std::vector<int32_t>{3, 4}, {true, false});
  for (size_t g = 0; g < cache.groups(); ++g)
    for (int32_t block = 0; block < cache.pool(g).size(); ++block)
      for (size_t store = 0; store < cache.stores(g); ++store) {
        const auto rows = cache.rows_of(g, store, block);
        std::memset(rows.data(), 1 + block, rows.size());
      }
  const TempFolder folder;
  save_prefixes(cache, "identity", folder / "two");
  return {{"two", content_of(folder / "two")}};
}

}  // namespace lathe::fuzz
