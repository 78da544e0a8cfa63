#include "lathe/infer/block_pool.h"

#include "lathe/base/error.h"

namespace lathe {

BlockPool::BlockPool(int64_t blocks, std::function<void(int32_t)> on_evict)
    : on_evict_(std::move(on_evict)),
      holders_(static_cast<size_t>(blocks), 0),
      place_(static_cast<size_t>(blocks)),
      is_kept_(static_cast<size_t>(blocks), 0) {
  free_.reserve(holders_.size());
  for (int64_t block = blocks; block > 0; --block) free_.push_back(static_cast<int32_t>(block - 1));
}

std::optional<int32_t> BlockPool::take() {
  int32_t block = 0;
  if (!free_.empty()) {
    block = free_.back();
    free_.pop_back();
  } else if (!kept_.empty()) {
    block = kept_.front();
    if (on_evict_) on_evict_(block);
    kept_.pop_front();
    is_kept_[static_cast<size_t>(block)] = 0;
  } else {
    return std::nullopt;
  }
  holders_[static_cast<size_t>(block)] = 1;
  ++held_;
  return block;
}

void BlockPool::hold(int32_t block) {
  const auto i = static_cast<size_t>(block);
  require(holders_[i] > 0 || is_kept_[i], ErrorKind::kShape, "cache",
          "block {} is free, so its content cannot be shared", block);
  if (is_kept_[i]) {
    kept_.erase(place_[i]);
    is_kept_[i] = 0;
    ++held_;
  }
  ++holders_[i];
}

void BlockPool::release(int32_t block, bool findable) {
  const auto i = static_cast<size_t>(block);
  require(holders_[i] > 0, ErrorKind::kShape, "cache", "block {} was released but nobody holds it",
          block);
  if (--holders_[i] > 0) return;
  --held_;
  if (findable) {
    place_[i] = kept_.insert(kept_.end(), block);
    is_kept_[i] = 1;
  } else {
    free_.push_back(block);
  }
}

}  // namespace lathe
