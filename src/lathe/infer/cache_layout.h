// What the layers of a model keep in a cache, found by asking the model: one pass of one token runs
// through it, and what its layers write is noted. So the memory of a cache can be planned for every
// architecture without a list of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lathe/model/transformer.h"
#include "lathe/nn/attention/cache.h"

namespace lathe {

// The rows that one layer keeps of a token.
struct CachedRows {
  CacheLayer layer;
  Shape k, v;  // of a token, [K,D]; v is empty where the layer writes none
  bool has_v = false;
  DType dtype = DType::kF32;          // of what the layer writes
  std::optional<DType> kept_as = {};  // a smaller type in which the cache keeps that: bf16 or int8

  // Of keys and of values; 1 for rows without heads.
  int64_t heads() const { return are_keys_and_values() && k[0] == v[0] ? k[0] : 1; }
  DType kept() const { return kept_as.value_or(dtype); }
  // With the scales that int8 rows have (tensor/int8_rows.h), one f32 for each head.
  bool has_scales() const { return kept() == DType::kI8; }
  // Keys and values of attention. The others are latent vectors and the inputs of convolutions,
  // which are few, and of which everything that follows is made.
  bool are_keys_and_values() const { return has_v && layer.kind != CacheLayer::Kind::kRecent; }
  int64_t bytes() const;
};

// Layers that need the same tokens of a sequence, and so share its block table: those of one kind,
// reach and number of sinks.
struct CacheGroup {
  CacheLayer::Kind kind = CacheLayer::Kind::kSelf;
  int64_t reach = CacheLayer::kAll;
  int64_t sinks = 0;
  std::vector<CachedRows> layers;

  bool of_text() const { return kind == CacheLayer::Kind::kCross; }    // of the encoder's text
  bool of_states() const { return kind == CacheLayer::Kind::kState; }  // of what the head reads
  int64_t bytes_per_token() const;
  std::string types() const;  // in which its layers keep their rows: "int8", "int8 and fp32"
  // Whether each sequence holds only so many tokens, however long it is.
  bool bounded() const { return !of_text() && reach != CacheLayer::kAll; }
  // The tokens at the beginning that are never given back: sinks, in whole tiles of keys, since
  // kernels read these.
  int64_t kept_first() const {
    const int64_t tile = kernels::kKeyTile;
    return bounded() ? (sinks + tile - 1) / tile * tile : 0;
  }
};

// Groups in the order of their first layers, of texts that are streamed or not. Throws what the
// model's forward pass throws.
std::vector<CacheGroup> cache_groups(const Transformer& model,
                                     const std::optional<Streaming>& streaming = {});
// The group of the states that the head reads, f32 [C] of a token, for sequences that keep them
// (PagedCache::open).
CacheGroup state_group(const Transformer& model);
// The same as cache_groups() of its module number `depth`, from 1, for multi-token prediction
// (model/mtp.h).
std::vector<CacheGroup> mtp_cache_groups(const Transformer& model, int64_t depth);
// The groups with keys and values kept as `precision` (f32, bf16 or int8); all else keeps its type.
// Errors kConfig where that has no meaning: for a type with more digits than the layers write, and
// where no layer keeps keys and values.
std::vector<CacheGroup> kept_as(std::vector<CacheGroup> groups, DType precision);

}  // namespace lathe
