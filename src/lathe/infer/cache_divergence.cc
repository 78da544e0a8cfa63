#include "lathe/infer/cache_divergence.h"

#include <algorithm>
#include <stdexcept>

#include "lathe/base/error.h"
#include "lathe/infer/cache_plan.h"

namespace lathe {
namespace {

bool is_smaller(const CacheGroup& group) {
  return std::ranges::any_of(group.layers,
                             [](const CachedRows& layer) { return layer.kept_as.has_value(); });
}

// The logits of a text that a cache of its own holds.
LogitsOfText through_a_cache(const Transformer& model, std::vector<CacheGroup> groups) {
  return [&model, groups = std::move(groups)](const std::vector<int32_t>& text) {
    const auto length = static_cast<int64_t>(text.size());
    const EngineOptions options{.cache_tokens = length, .max_sequences = 1, .commit_memory = false};
    PagedCache cache(groups, plan_cache(groups, options));
    const PagedCache::Id id = cache.open();
    if (!cache.reserve(id, length)) throw std::logic_error("the planned cache is too small");
    cache.begin_pass({id});
    return next_token_logits(model, text, &cache);
  };
}

}  // namespace

Divergence cache_divergence(const Transformer& model, DType cache_precision,
                            std::span<const int32_t> text, DivergenceOptions options) {
  require_comparable(model, model, text);
  options.window = model.window_of(options.window);
  const auto groups = cache_groups(model), smaller = kept_as(groups, cache_precision);
  require(std::ranges::any_of(smaller, is_smaller), ErrorKind::kConfig, "cache_precision",
          "{} is what keys and values are computed in, so that a cache would be compared with "
          "itself; take a smaller type, e.g. int8",
          precision_name(cache_precision));
  return divergence_of(through_a_cache(model, groups), through_a_cache(model, smaller), text,
                       options);
}

}  // namespace lathe
