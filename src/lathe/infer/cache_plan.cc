#include "lathe/infer/cache_plan.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/process.h"
#include "lathe/base/strings.h"
#include "lathe/model/layer_masks.h"

namespace lathe {
namespace {

int64_t blocks_of(int64_t tokens, int64_t size) { return (tokens + size - 1) / size; }

// Shifting bounds the answer's growth, not the prompt, which must fit the window.
std::string advice_to_shift(const Transformer& model) {
  const auto most = model.longest_text();
  return fmt::format(
      "shorten the prompt to N tokens{} and use lathe generate --context-shift N, which reads a "
      "shorter text again wherever the answer outgrows them",
      most ? fmt::format(", at most {},", *most) : "");
}

}  // namespace

bool tokens_compete(const ModelConfig& c) {
  return c.moe.enabled() &&
         (!is_causal(c.moe) || c.moe.expert_capacity.has_value() || c.moe.eval_capacity_factor > 0);
}

bool moves_tokens(const Transformer& model) { return model.outgrows_cache(1, int64_t{1} << 30); }

std::string why_prefixes_are_not_shared(const Transformer& model) {
  const Body body = model.config().body_traits();
  if (body.encoder) return "every token sees the encoder's text";
  if (body.prefix) return "the tokens of a prefix see each other";
  if (moves_tokens(model)) return "positions depend on the length of the text";
  if (tokens_compete(model.config())) return "the tokens of a pass compete for experts";
  return {};
}

std::string why_not_streamed(const Transformer& model) {
  const ModelConfig& c = model.config();
  const Body body = c.body_traits();
  if (body.encoder) return "an encoder reads the whole text at once; give it a shorter text";
  if (body.prefix)
    return "the tokens of a prefix see each other at any distance; give it a shorter text";
  if (tokens_compete(c))
    return "the tokens of a pass compete for experts, so that a text cannot be cut into passes; "
           "give it a shorter text";
  for (int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    const auto mask = mask_of(c, layer);
    if (mask.window > 0 || mask.pattern.kind != kernels::BlockPattern::Kind::kNone)
      return fmt::format(
          "layer {} has a window or a pattern of its own; its texts may be of any "
          "length as they are",
          layer);
  }
  if (!model.follows_distances())
    return fmt::format(
        "its positions (\"{}\") are more than distances between tokens, so that none "
        "can be left out; {}",
        c.position.kind, advice_to_shift(model));
  if (moves_tokens(model))
    return fmt::format("its rotary scaling follows the length of the text; {}",
                       advice_to_shift(model));
  return {};
}

std::vector<CacheGroup> groups_of(const Transformer& model, const EngineOptions& options) {
  std::vector<CacheGroup> groups = cache_groups(model, options.streaming);
  if (options.cache_precision) groups = kept_as(std::move(groups), *options.cache_precision);
  if (options.state_tokens > 0) groups.push_back(state_group(model));
  return groups;
}

CachePlan plan_cache(const std::vector<CacheGroup>& groups, const EngineOptions& o) {
  CachePlan plan{.block_size = o.block_size, .blocks = {}, .commit = o.commit_memory};
  const int64_t all = blocks_of(o.cache_tokens, o.block_size);
  for (const CacheGroup& group : groups) {
    if (group.of_text()) {
      plan.blocks.push_back(blocks_of(o.text_tokens, o.block_size));
      continue;
    }
    if (group.of_states()) {
      plan.blocks.push_back(blocks_of(o.state_tokens, o.block_size));
      continue;
    }
    int64_t blocks = all;
    if (group.reach < o.cache_tokens) {
      const int64_t each = group.reach + group.kept_first() + kernels::kKeyTile + 4 * o.block_size;
      blocks = std::min(all, blocks_of(o.max_sequences * each + o.token_budget, o.block_size));
    }
    plan.blocks.push_back(blocks);
  }
  return plan;
}

CacheKept cache_kept(const Transformer& model, std::optional<DType> cache_precision) {
  CacheGroup all;
  for (const CacheGroup& group : groups_of(model, {.cache_precision = cache_precision}))
    all.layers.insert(all.layers.end(), group.layers.begin(), group.layers.end());
  return {.types = all.types(), .bytes_per_token = all.bytes_per_token()};
}

PagedCache make_cache(const Transformer& model, const EngineOptions& options) {
  const auto groups = groups_of(model, options);
  return PagedCache(groups, plan_cache(groups, options));
}

int64_t bytes_of(const std::vector<CacheGroup>& groups, const CachePlan& plan) {
  int64_t bytes = 0;
  for (size_t g = 0; g < groups.size(); ++g)
    bytes += plan.blocks[g] * plan.block_size * groups[g].bytes_per_token();
  return bytes;
}

int64_t memory_for_caches() { return physical_memory_bytes() / 2; }

void require_memory(const Transformer& model, const EngineOptions& options,
                    std::string_view advice) {
  const auto groups = groups_of(model, options);
  const int64_t bytes = bytes_of(groups, plan_cache(groups, options)), most = memory_for_caches();
  require(most <= 0 || bytes <= most, ErrorKind::kConfig, "cache",
          "{} tokens in the cache take {}, and half of this machine's memory is {}; {}",
          options.cache_tokens, human_bytes(static_cast<double>(bytes)),
          human_bytes(static_cast<double>(most)), advice);
}

int64_t cache_tokens_in(int64_t bytes, const Transformer& model, EngineOptions options) {
  const auto groups = groups_of(model, options);
  int64_t low = 0, high = int64_t{1} << 40;  // low fits, high does not
  while (high - low > 1) {
    const int64_t middle = options.cache_tokens = low + (high - low) / 2;
    (bytes_of(groups, plan_cache(groups, options)) <= bytes ? low : high) = middle;
  }
  return low;
}

std::string describe(const std::vector<CacheGroup>& groups, const CachePlan& plan) {
  std::string text;
  for (size_t g = 0; g < groups.size(); ++g) {
    const CacheGroup& group = groups[g];
    const int64_t bytes = plan.blocks[g] * plan.block_size * group.bytes_per_token();
    const std::string of =
        group.of_states()
            ? " of hidden states"
            : fmt::format(" in {} layers{}", group.layers.size(),
                          group.of_text() ? " of the encoder's text"
                          : group.reach == CacheLayer::kAll
                              ? ""
                              : fmt::format(" that reach {} back{}", group.reach,
                                            group.sinks == 0 ? ""
                                                             : fmt::format(", and to the first {}",
                                                                           group.sinks)));
    text +=
        fmt::format("{}{} blocks of {} tokens{} as {}, {}", g > 0 ? "; " : "", plan.blocks[g],
                    plan.block_size, of, group.types(), human_bytes(static_cast<double>(bytes)));
  }
  return text;
}

}  // namespace lathe
