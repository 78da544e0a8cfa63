// Keys and values of a fixed number of sequences, one block of memory per layer.
#pragma once

#include <vector>

#include "lathe/model/config.h"
#include "lathe/nn/attention/cache.h"

namespace lathe {

class ContiguousCache : public AttentionCache {
 public:
  // Room for `capacity` tokens in each of `batch` sequences.
  ContiguousCache(const ModelConfig& config, int64_t batch, int64_t capacity, DType dtype,
                  Device device);

  int64_t length() const override { return length_; }
  int64_t capacity() const { return capacity_; }
  // Error kShape when the capacity is exceeded. The length advances when the last layer has
  // appended.
  std::pair<Tensor, Tensor> append(int64_t layer, const Tensor& k, const Tensor& v) override;
  size_t bytes() const;

 private:
  std::vector<Tensor> keys_, values_;  // [B,capacity,K,D]
  int64_t capacity_, length_ = 0;
};

}  // namespace lathe
