// Which of a fixed number of blocks of a cache are in use, and by how many sequences: the
// bookkeeping of PagedAttention (Kwon et al. 2023, arXiv:2309.06180) without the memory itself.
//
// A block is free, held (by one or more sequences), or kept: nobody holds it, but its content can
// still be found by the prefix index. A kept block goes back to being held when it is found, and is
// given away, the least recently released first, when no block is free.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <vector>

namespace lathe {

class BlockPool {
 public:
  // `on_evict` is called with a kept block before it is given to somebody else.
  explicit BlockPool(int64_t blocks, std::function<void(int32_t)> on_evict = {});

  // A block that the caller alone holds; nothing if all are held.
  std::optional<int32_t> take();
  // One more holder of a block that is held or kept.
  void hold(int32_t block);
  // One holder less. The last one leaves the block kept if `findable`, else free.
  void release(int32_t block, bool findable);

  int64_t size() const { return static_cast<int64_t>(holders_.size()); }
  int64_t held() const { return held_; }
  int64_t kept() const { return static_cast<int64_t>(kept_.size()); }
  int64_t available() const { return size() - held_; }  // free or kept
  int32_t holders(int32_t block) const { return holders_[static_cast<size_t>(block)]; }

 private:
  std::function<void(int32_t)> on_evict_;
  std::vector<int32_t> holders_, free_;
  std::list<int32_t> kept_;                          // least recently released first
  std::vector<std::list<int32_t>::iterator> place_;  // in kept_, of a kept block
  std::vector<char> is_kept_;
  int64_t held_ = 0;
};

}  // namespace lathe
