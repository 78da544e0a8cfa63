// Keys and values of a fixed number of sequences, one block of memory per layer.
#pragma once

#include <vector>

#include "lathe/nn/attention/cache.h"

namespace lathe {

class ContiguousCache : public AttentionCache {
 public:
  // Room for `capacity` tokens in each sequence of the batch that is appended. A layer's memory is
  // taken when it first appends, in the shape and dtype of what it appends.
  explicit ContiguousCache(int64_t capacity) : capacity_(capacity) {}

  int64_t length() const override { return length_; }
  int64_t capacity() const { return capacity_; }
  // Error kShape when the capacity is exceeded.
  std::pair<Tensor, Tensor> append(int64_t layer, const Tensor& k, const Tensor& v) override;
  Tensor append_recent(int64_t layer, const Tensor& x, int64_t keep) override;
  void advance(int64_t tokens) override { length_ += tokens; }
  size_t bytes() const;

 private:
  std::vector<Tensor> keys_, values_;  // of each layer, [B,capacity,K,D]
  std::vector<Tensor> recent_;         // of each layer, [B, at most keep, F]
  int64_t capacity_, length_ = 0;
};

}  // namespace lathe
