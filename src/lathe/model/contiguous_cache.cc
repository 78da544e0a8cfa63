#include "lathe/model/contiguous_cache.h"

#include "lathe/base/error.h"

namespace lathe {

ContiguousCache::ContiguousCache(const ModelConfig& c, int64_t batch, int64_t capacity, DType dtype,
                                 Device device)
    : capacity_(capacity) {
  const Shape shape = {batch, capacity, c.kv_heads(), c.head_width()};
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    keys_.emplace_back(shape, dtype, device);
    values_.emplace_back(shape, dtype, device);
  }
}

std::pair<Tensor, Tensor> ContiguousCache::append(int64_t layer, const Tensor& k, const Tensor& v) {
  const int64_t count = k.size(1);
  require(length_ + count <= capacity_, ErrorKind::kShape, "cache",
          "{} + {} tokens exceed the capacity of {}", length_, count, capacity_);
  const auto i = static_cast<size_t>(layer);
  keys_[i].narrow(1, length_, count).copy_from(k);
  values_[i].narrow(1, length_, count).copy_from(v);
  const int64_t total = length_ + count;
  if (i + 1 == keys_.size()) length_ = total;
  return {keys_[i].narrow(1, 0, total), values_[i].narrow(1, 0, total)};
}

size_t ContiguousCache::bytes() const {
  size_t total = 0;
  for (const Tensor& t : keys_) total += 2 * t.bytes();
  return total;
}

}  // namespace lathe
