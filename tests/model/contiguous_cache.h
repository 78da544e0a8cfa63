// The oracle of caches: keys and values of a fixed number of sequences, one block of memory per layer
// and sequence.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/nn/attention/cache.h"
#include "lathe/tensor/int8_rows.h"

namespace lathe::testing {

class ContiguousCache : public AttentionCache {
 public:
  // Room for `capacity` tokens in each of `sequences`. A layer's memory is allocated when it first
  // writes, with the widths and the dtype of what it writes; keys and values as `kept_as`, if given.
  ContiguousCache(int64_t sequences, int64_t capacity, std::optional<DType> kept_as = {})
      : capacity_(capacity), kept_as_(kept_as), lengths_(static_cast<size_t>(sequences), 0) {}

  // The number of tokens that each sequence holds: Rows::context of the next pass.
  const std::vector<int64_t>& lengths() const { return lengths_; }
  size_t bytes() const;

  // Errors: kShape for more tokens than the capacity, and for rows whose context is not lengths().
  void write(const CacheLayer& layer, const Rows& rows, const Tensor& k, const Tensor& v) override;
  ops::KeyValues view(const CacheLayer& layer, const Rows& rows) const override;

  // Ends a pass of these rows, after every layer has written.
  void advance(const Rows& rows);

 private:
  struct Store {
    CacheLayer layer;
    // kSelf: [sequences · capacity, K, D]; else packed as `sequences` says; [.., K] the scales.
    Tensor k, v, k_scales, v_scales;
    Sequences sequences;
    // kRecent, from a write to advance(): the data with the new rows, and where its sequences are.
    Tensor joined;
    Sequences joined_sequences;
  };
  using Key = std::pair<CacheLayer::Kind, int64_t>;
  static Key key_of(const CacheLayer& layer) { return {layer.kind, layer.index}; }

  struct Kept {
    Tensor rows, scales;
  };
  Kept kept(const Tensor& x, bool is_key_or_value) const;
  void write_behind(Store& store, const Rows& rows, const Tensor& k, const Tensor& v) const;
  void join_recent(Store& store, const Rows& rows, const Tensor& x) const;

  int64_t capacity_;
  std::optional<DType> kept_as_;
  std::vector<int64_t> lengths_;
  std::map<Key, Store> stores_;
};

// Rows of x, those of sequence b of the pass, to the rows of `store` from `to` on.
inline void copy_rows(const Tensor& x, int64_t from, int64_t count, const Tensor& store,
                      int64_t to) {
  if (count > 0) store.narrow(0, to, count).copy_from(x.narrow(0, from, count));
}

inline void ContiguousCache::write(const CacheLayer& layer, const Rows& rows, const Tensor& k,
                                   const Tensor& v) {
  if (layer.kind == CacheLayer::Kind::kCross) {  // all texts in the first pass
    const Kept keys = kept(k, true), values = kept(v, true);
    stores_[key_of(layer)] = {layer,         keys.rows,      values.rows, keys.scales,
                              values.scales, rows.sequences, {},          {}};
    return;
  }
  const auto count = static_cast<int64_t>(lengths_.size());
  require(rows.sequences.count() == count, ErrorKind::kShape, "cache",
          "{} sequences, expected the {} of the cache", rows.sequences.count(), count);
  for (int64_t b = 0; b < count; ++b) {
    const int64_t held = lengths_[static_cast<size_t>(b)];
    require(rows.context_of(b) == held, ErrorKind::kShape, "cache",
            "sequence {} continues {} tokens, but the cache holds {}", b, rows.context_of(b), held);
    require(rows.length_of(b) <= capacity_, ErrorKind::kShape, "cache",
            "{} + {} tokens exceed the capacity of {}", held, rows.sequences.length(b), capacity_);
  }
  Store& store = stores_[key_of(layer)];
  store.layer = layer;
  if (layer.kind == CacheLayer::Kind::kRecent)
    join_recent(store, rows, k);
  else
    write_behind(store, rows, k, v);
}

// x as it is kept.
inline ContiguousCache::Kept ContiguousCache::kept(const Tensor& x, bool is_key_or_value) const {
  if (!x.defined()) return {};
  if (!kept_as_ || !is_key_or_value) return {x.clone(), {}};
  if (*kept_as_ != DType::kI8) return {x.to(*kept_as_), {}};
  const Kept kept{Tensor(x.shape(), DType::kI8), Tensor({x.size(0), x.size(1)}, DType::kF32)};
  quantize_rows(x, kept.rows, kept.scales);
  return kept;
}

inline void ContiguousCache::write_behind(Store& store, const Rows& rows, const Tensor& k,
                                          const Tensor& v) const {
  const int64_t count = rows.sequences.count();
  const Kept keys = kept(k, v.defined()), values = kept(v, true);
  for (const auto& [to, x] : {std::pair{&store.k, &keys.rows},
                              {&store.v, &values.rows},
                              {&store.k_scales, &keys.scales},
                              {&store.v_scales, &values.scales}}) {
    if (!x->defined()) continue;
    if (!to->defined())
      *to = Tensor(x->shape().with(0, count * capacity_), x->dtype(), x->device());
    for (int64_t b = 0; b < count; ++b)
      copy_rows(*x, rows.sequences.first(b), rows.sequences.length(b), *to,
                b * capacity_ + rows.context_of(b));
  }
}

inline void ContiguousCache::join_recent(Store& store, const Rows& rows, const Tensor& x) const {
  std::vector<int64_t> lengths;
  const auto held = [&](int64_t b) {
    return store.sequences.count() > 0 ? store.sequences.length(b) : 0;
  };
  for (int64_t b = 0; b < rows.sequences.count(); ++b)
    lengths.push_back(held(b) + rows.sequences.length(b));
  const Sequences all(lengths);
  const Tensor joined(x.shape().with(0, all.rows()), x.dtype(), x.device());
  for (int64_t b = 0; b < rows.sequences.count(); ++b) {
    if (held(b) > 0) copy_rows(store.k, store.sequences.first(b), held(b), joined, all.first(b));
    copy_rows(x, rows.sequences.first(b), rows.sequences.length(b), joined, all.first(b) + held(b));
  }
  store.joined = joined;
  store.joined_sequences = all;
}

inline ops::KeyValues ContiguousCache::view(const CacheLayer& layer, const Rows& rows) const {
  const auto found = stores_.find(key_of(layer));
  require(found != stores_.end(), ErrorKind::kShape, "cache", "layer {} was not written to",
          layer.index);
  const Store& store = found->second;
  if (layer.kind == CacheLayer::Kind::kCross) {
    ops::KeyValues kv = ops::KeyValues::packed(Var(store.k), Var(store.v), store.sequences);
    kv.k_scales = store.k_scales, kv.v_scales = store.v_scales;
    return kv;
  }
  if (layer.kind == CacheLayer::Kind::kRecent)
    return ops::KeyValues::packed(Var(store.joined), Var(), store.joined_sequences);
  const auto count = static_cast<int64_t>(lengths_.size());
  Tensor blocks({count, 1}, DType::kI32);
  for (int64_t b = 0; b < count; ++b)
    blocks.data<int32_t>()[b] = static_cast<int32_t>(b * capacity_);
  return {Var(store.k), Var(store.v),   rows.keys(),   blocks,
          capacity_,    store.k_scales, store.v_scales};
}

inline void ContiguousCache::advance(const Rows& rows) {
  for (size_t b = 0; b < lengths_.size(); ++b)
    lengths_[b] = rows.length_of(static_cast<int64_t>(b));
  for (auto& [key, store] : stores_) {
    if (store.layer.kind != CacheLayer::Kind::kRecent || !store.joined.defined()) continue;
    const Sequences& all = store.joined_sequences;
    std::vector<int64_t> kept;
    for (int64_t b = 0; b < all.count(); ++b)
      kept.push_back(std::min(all.length(b), store.layer.reach));
    const Sequences last(kept);
    const Tensor rest(store.joined.shape().with(0, last.rows()), store.joined.dtype(),
                      store.joined.device());
    for (int64_t b = 0; b < all.count(); ++b)
      copy_rows(store.joined, all.first(b + 1) - last.length(b), last.length(b), rest,
                last.first(b));
    store.k = rest;
    store.sequences = last;
    store.joined = Tensor();
  }
}

inline size_t ContiguousCache::bytes() const {
  size_t total = 0;
  for (const auto& [key, store] : stores_)
    for (const Tensor* t : {&store.k, &store.v, &store.k_scales, &store.v_scales, &store.joined})
      total += t->defined() ? t->bytes() : 0;
  return total;
}

}  // namespace lathe::testing
