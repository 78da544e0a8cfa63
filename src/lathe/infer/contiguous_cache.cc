#include "lathe/infer/contiguous_cache.h"

#include <algorithm>

#include "lathe/base/error.h"

namespace lathe {
namespace {

// Writes x [B,T,K,D] behind the `held` tokens of `store` and returns all of them.
Tensor append_to(Tensor& store, const Tensor& x, int64_t held, int64_t capacity) {
  if (!x.defined()) return {};
  if (!store.defined()) store = Tensor(x.shape().with(1, capacity), x.dtype(), x.device());
  store.narrow(1, held, x.size(1)).copy_from(x);
  return store.narrow(1, 0, held + x.size(1));
}

}  // namespace

std::pair<Tensor, Tensor> ContiguousCache::append(int64_t layer, const Tensor& k, const Tensor& v) {
  require(length_ + k.size(1) <= capacity_, ErrorKind::kShape, "cache",
          "{} + {} tokens exceed the capacity of {}", length_, k.size(1), capacity_);
  const auto i = static_cast<size_t>(layer);
  if (i >= keys_.size()) {
    keys_.resize(i + 1);
    values_.resize(i + 1);
  }
  return {append_to(keys_[i], k, length_, capacity_), append_to(values_[i], v, length_, capacity_)};
}

Tensor ContiguousCache::append_recent(int64_t layer, const Tensor& x, int64_t keep) {
  const auto i = static_cast<size_t>(layer);
  if (i >= recent_.size()) recent_.resize(i + 1);
  Tensor& recent = recent_[i];
  const int64_t held = recent.defined() ? recent.size(1) : 0, all = held + x.size(1);
  const Tensor joined(x.shape().with(1, all), x.dtype(), x.device());
  if (held > 0) joined.narrow(1, 0, held).copy_from(recent);
  joined.narrow(1, held, x.size(1)).copy_from(x);
  const int64_t kept = std::min(keep, all);
  recent = joined.narrow(1, all - kept, kept).clone();
  return joined;
}

size_t ContiguousCache::bytes() const {
  size_t total = 0;
  for (const auto* stores : {&keys_, &values_, &recent_})
    for (const Tensor& t : *stores) total += t.defined() ? t.bytes() : 0;
  return total;
}

}  // namespace lathe
