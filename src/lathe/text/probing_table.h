// The common part of the hash tables in text/: open addressing with linear probing (Knuth, The Art
// of Computer Programming, vol. 3, section 6.4, algorithm L). Internal to text/.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lathe {

// The bits of a hash that choose the slot. The high ones are those that a multiplication mixes
// best. The low ones are for tables that are copied into each other: a table gives its entries in
// the order of their slots, and by the high bits they would all crowd into the beginning of a
// smaller one.
enum class HashBits : uint8_t { kLow, kHigh };

// `Entry{}` is a free slot, and entry.free() tells one. The table keeps neither hashes nor a count:
// the caller gives hashes, and calls grow() in time, since a search ends at a free slot and there
// must always be one. Several threads may search, unless one writes.
template <class Entry, HashBits kBits = HashBits::kLow>
class ProbingTable {
 public:
  // `slots` is a power of two, at least 2.
  explicit ProbingTable(size_t slots = 2) : slots_(slots), shift_(64 - std::countr_zero(slots)) {}

  // The entry with this hash for which same(entry) holds; without one, the free slot where it
  // belongs. Assigning to that enters it. Valid until grow().
  template <class Same>
  Entry& find(uint64_t hash, Same&& same) {
    return slots_[slot_of(hash, same)];
  }
  template <class Same>
  const Entry& find(uint64_t hash, Same&& same) const {
    return slots_[slot_of(hash, same)];
  }
  // Fetches the place where a search for this hash will begin.
  void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[home_of(hash)], 1); }
  // Enters what is not in the table yet.
  void add(uint64_t hash, const Entry& entry) {
    find(hash, [](const Entry&) { return false; }) = entry;
  }
  // Doubles the slots. hash_of(entry) is the hash that the entry was entered with.
  template <class HashOf>
  void grow(HashOf&& hash_of) {
    std::vector<Entry> old(2 * slots_.size());
    old.swap(slots_);
    --shift_;
    for (const Entry& e : old)
      if (!e.free()) add(hash_of(e), e);
  }

  // All slots, also the free ones.
  const std::vector<Entry>& slots() const { return slots_; }

 private:
  size_t home_of(uint64_t hash) const {
    return kBits == HashBits::kHigh ? hash >> shift_ : hash & (~uint64_t{0} >> shift_);
  }
  template <class Same>
  size_t slot_of(uint64_t hash, Same& same) const {
    const uint64_t mask = ~uint64_t{0} >> shift_;
    size_t slot = home_of(hash);
    while (!slots_[slot].free() && !same(slots_[slot])) slot = (slot + 1) & mask;
    return slot;
  }

  std::vector<Entry> slots_;
  int shift_;
};

}  // namespace lathe
