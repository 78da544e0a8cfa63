// Keys and values of a fixed number of sequences, one block of memory per layer and sequence.
#pragma once

#include <map>
#include <vector>

#include "lathe/nn/attention/cache.h"

namespace lathe {

class ContiguousCache : public AttentionCache {
 public:
  // Room for `capacity` tokens in each of `sequences`. A layer's memory is allocated when it first
  // writes, with the widths and the dtype of what it writes.
  ContiguousCache(int64_t sequences, int64_t capacity)
      : capacity_(capacity), lengths_(static_cast<size_t>(sequences), 0) {}

  // The number of tokens that each sequence holds: Rows::context of the next pass.
  const std::vector<int64_t>& lengths() const { return lengths_; }
  size_t bytes() const;

  // Errors: kShape for more tokens than the capacity, and for rows whose context is not lengths().
  void write(const CacheLayer& layer, const Rows& rows, const Tensor& k, const Tensor& v) override;
  ops::KeyValues view(const CacheLayer& layer, const Rows& rows) const override;
  bool holds(const CacheLayer& layer) const override { return stores_.contains(key_of(layer)); }

  // Ends a pass of these rows, after every layer has written.
  void advance(const Rows& rows);

 private:
  struct Store {
    CacheLayer layer;
    Tensor k, v;  // kSelf: [sequences · capacity, K, D]; else packed as `sequences` says
    Sequences sequences;
    // kRecent, from a write to advance(): the data with the new rows, and where its sequences are.
    Tensor joined;
    Sequences joined_sequences;
  };
  using Key = std::pair<CacheLayer::Kind, int64_t>;
  static Key key_of(const CacheLayer& layer) { return {layer.kind, layer.index}; }

  void write_behind(Store& store, const Rows& rows, const Tensor& k, const Tensor& v) const;
  void join_recent(Store& store, const Rows& rows, const Tensor& x) const;

  int64_t capacity_;
  std::vector<int64_t> lengths_;
  std::map<Key, Store> stores_;
};

}  // namespace lathe
