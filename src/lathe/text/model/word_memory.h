// The ids of words met before, on one thread. Internal to text/.
//
// Nearly all pieces of real text are short words that come again. A piece of at most kWordBytes
// bytes is two machine words (pair_table.h), so it is looked up without touching the string, and a
// new word takes the place of the one that was in its slot.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "lathe/text/model/pair_table.h"

namespace lathe {

inline constexpr size_t kWordBytes = 15;

// Words of more than kIds ids are not kept.
template <size_t kIds, int kSlotBits = 14>
class WordMemory {
 public:
  // Appends the ids of a word met before.
  bool recall(const WordKey& key, std::vector<int32_t>& out) const {
    const Slot& slot = slots_[slot_of(key)];
    if (slot.key != key) return false;
    for (uint32_t i = 0; i < slot.count; ++i) out.push_back(slot.ids[i]);
    return true;
  }

  // Keeps out[before, …), the ids of a word, if they are few.
  void remember(const WordKey& key, size_t before, const std::vector<int32_t>& out) {
    const size_t count = out.size() - before;
    if (count > kIds) return;
    Slot& slot = slots_[slot_of(key)];
    slot.key = key;
    slot.count = static_cast<uint32_t>(count);
    std::copy(out.begin() + static_cast<ptrdiff_t>(before), out.end(), slot.ids.begin());
  }

 private:
  struct Slot {
    WordKey key{0, 0};
    uint32_t count = 0;
    std::array<int32_t, kIds> ids{};
  };
  static size_t slot_of(const WordKey& key) { return key.hash() >> (64 - kSlotBits); }

  std::vector<Slot> slots_ = std::vector<Slot>(size_t{1} << kSlotBits);
};

}  // namespace lathe
