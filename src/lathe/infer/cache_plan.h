// The memory of an engine, planned from the model and a few numbers before it starts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lathe/infer/paged_cache.h"

namespace lathe {

struct EngineOptions {
  int64_t block_size = 16;         // tokens in a block of the cache
  int64_t cache_tokens = 1 << 15;  // that the cache holds, of all sequences and kept prefixes
  int64_t text_tokens = 1 << 13;   // the same of encoders' texts
  int64_t state_tokens = 0;        // the same of hidden states; 0: no contrastive search
  int64_t token_budget = 512;      // tokens of a pass
  int64_t max_sequences = 32;      // that run at once
  int64_t max_queue = 1024;        // requests that wait
  int64_t draft_tokens = 16;       // guesses of a sequence in a pass, at most
  bool commit_memory = true;       // see CachePlan
  // In which keys and values are kept: f32, bf16 or int8; by default as they are computed. The
  // cache of a drafter is not meant.
  std::optional<DType> cache_precision = {};
  // All texts are streamed (nn/streaming.h): each holds a bounded number of tokens and may go on
  // without end; a prompt longer than the window is streamed, too.
  std::optional<Streaming> streaming = {};
};

// Whether the tokens of a pass compete for experts (a capacity, expert choice), so that a token's
// result depends on which others are in its pass.
bool tokens_compete(const ModelConfig& config);
// Whether a longer text can change the positions of its first tokens.
bool moves_tokens(const Transformer& model);

// Why the beginnings of texts are not shared between requests of this model, or empty if they are:
// what a layer keeps of a token must follow from the tokens up to it. It does not
//   * with a prefix, whose tokens see each other, and with an encoder, whose text all tokens see;
//   * where rotary scaling depends on the length of the text;
//   * where the tokens of a pass compete for experts (a capacity, expert choice).
std::string why_prefixes_are_not_shared(const Transformer& model);

// The groups of an engine with these options. Errors: those of kept_as().
std::vector<CacheGroup> groups_of(const Transformer& model, const EngineOptions& options);
// Why texts cannot be streamed by this model, and what to do instead; empty if they can be. It
// needs a decoder that sees all earlier tokens, and positions of which only distances matter.
std::string why_not_streamed(const Transformer& model);

// How the blocks of the cache are shared out: groups of layers that read everything get room for
// cache_tokens, those that read a window as much of it as max_sequences can hold.
CachePlan plan_cache(const std::vector<CacheGroup>& groups, const EngineOptions& options);
// How a cache of the model keeps what it keeps of a token, in all layers.
struct CacheKept {
  std::string types;  // each once: "int8", "int8 and fp32"
  int64_t bytes_per_token = 0;
};
CacheKept cache_kept(const Transformer& model, std::optional<DType> cache_precision);
PagedCache make_cache(const Transformer& model, const EngineOptions& options);
int64_t bytes_of(const std::vector<CacheGroup>& groups, const CachePlan& plan);
// What caches may take of this machine's memory: half of it, the rest is the model's. 0 if unknown.
int64_t memory_for_caches();
// Throws kConfig if the cache of these options would take more than that; `advice` says what to
// change: "make --context smaller".
void require_memory(const Transformer& model, const EngineOptions& options,
                    std::string_view advice);
// The largest cache_tokens with which the cache is at most `bytes` large; 0 if none is.
int64_t cache_tokens_in(int64_t bytes, const Transformer& model, EngineOptions options);

// "2,048 blocks of 16 tokens in 30 layers as bf16, 360 MiB", a part for each group.
std::string describe(const std::vector<CacheGroup>& groups, const CachePlan& plan);

}  // namespace lathe
