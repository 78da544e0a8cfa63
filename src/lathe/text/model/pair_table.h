// The two hash tables of the encoder: pairs of tokens to the rank of their merge, and short words
// to their token. Both are built once and then only read.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "lathe/text/probing_table.h"

namespace lathe {

// A pair is one machine word in one of two places (Pagh & Rodler 2004, Cuckoo Hashing), so that a
// look-up is two loads and no branch; ids and ranks are below 2^21 for that.
class PairTable {
 public:
  static constexpr int32_t kNoRank = (1 << 24) - 1;
  static constexpr int kBits = 21;
  static constexpr int32_t kMaxId = (1 << kBits) - 2;
  static constexpr int32_t kMaxRank = (1 << kBits) - 1;

  explicit PairTable(size_t expected = 0) { resize(std::bit_ceil(2 * expected + 2)); }

  // A later rank for the same pair replaces the earlier one.
  void set(int32_t left, int32_t right, int32_t rank) {
    const uint64_t key = key_of(left, right);
    uint64_t entry = key << kBits | static_cast<uint32_t>(rank);
    for (const size_t slot : slots_of(key)) {
      if (entries_[slot] >> kBits != key) continue;
      entries_[slot] = entry;
      return;
    }
    if ((entry = settle(entry)) != kEmpty) grow(entry);
  }

  // Without a branch: whether a pair has a merge is what no processor can guess.
  int32_t rank(int32_t left, int32_t right) const {
    const uint64_t key = key_of(left, right);
    const auto [a, b] = slots_of(key);
    const uint64_t x = entries_[a], y = entries_[b];
    const uint64_t in_a = 0 - uint64_t{x >> kBits == key}, in_b = 0 - uint64_t{y >> kBits == key};
    return static_cast<int32_t>((((x & in_a) | (y & in_b)) & kMaxRank) |
                                (~(in_a | in_b) & kNoRank));
  }

  // Calls f(left, right, rank) for every pair, in no particular order.
  template <class F>
  void for_each(F&& f) const {
    for (uint64_t entry : entries_) {
      if (entry == kEmpty) continue;
      f(static_cast<int32_t>(entry >> (2 * kBits)), static_cast<int32_t>(entry >> kBits & kMaxRank),
        static_cast<int32_t>(entry & kMaxRank));
    }
  }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};  // no key: ids stop before all bits are set
  static uint64_t key_of(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << kBits | static_cast<uint32_t>(right);
  }
  // The two places an entry may have.
  std::array<size_t, 2> slots_of(uint64_t key) const {
    key *= multiplier_;
    key = (key ^ (key >> 32)) * 0xD6E8FEB86659FD93ull;
    return {key >> shift_, key << 24 >> shift_};
  }
  void resize(size_t slots) {
    entries_.assign(slots, kEmpty);
    shift_ = 64 - std::countr_zero(slots);
  }
  // Puts an entry into one of its places, moving the one found there to its other place, and so
  // on. Returns the one that found none; kEmpty when all did.
  uint64_t settle(uint64_t entry) {
    size_t from = entries_.size();
    for (int moves = 0; moves < kMaxMoves && entry != kEmpty; ++moves) {
      const auto [a, b] = slots_of(entry >> kBits);
      from = a == from || (entries_[a] != kEmpty && entries_[b] == kEmpty) ? b : a;
      std::swap(entry, entries_[from]);
    }
    return entry;
  }
  // Makes room for all entries and `homeless`. A larger table nearly always has it; pairs chosen to
  // collide are driven apart by another hash, not by ever more memory.
  void grow(uint64_t homeless) {
    std::vector<uint64_t> all = entries_;
    all.push_back(homeless);
    const auto settles = [this](uint64_t entry) { return settle(entry) == kEmpty; };
    for (int round = 0;; ++round) {
      resize(round % kHashesPerSize == 0 ? 2 * entries_.size() : entries_.size());
      if (std::ranges::all_of(all, settles)) return;
      multiplier_ = multiplier_ * 0xD1342543DE82EF95ull + 2;  // stays odd
    }
  }

  static constexpr int kMaxMoves = 200, kHashesPerSize = 8;
  std::vector<uint64_t> entries_;
  uint64_t multiplier_ = 0x9E3779B97F4A7C15ull;
  int shift_ = 0;
};

// At most 15 bytes and their number in two machine words. Never all zero for a word of 1 byte or
// more.
struct WordKey {
  uint64_t low, high;
  bool operator==(const WordKey&) const = default;
  uint64_t hash() const {
    const uint64_t h = (low ^ (high * 0x9E3779B97F4A7C15ull)) * 0xD6E8FEB86659FD93ull;
    return (h ^ (h >> 32)) * 0x9E3779B97F4A7C15ull;
  }
};

// Key of [p, p+n), n <= 15. Reads up to 16 bytes when they lie before `limit`.
inline WordKey word_key(const uint8_t* p, size_t n, const uint8_t* limit) {
  uint64_t words[2] = {0, 0};
  if (std::endian::native == std::endian::little && limit - p >= 16) {
    std::memcpy(words, p, 16);
    if (n < 8) {
      words[0] &= (uint64_t{1} << (8 * n)) - 1;
      words[1] = 0;
    } else {
      words[1] &= (uint64_t{1} << (8 * (n - 8))) - 1;
    }
  } else {
    std::memcpy(words, p, n);
    if (std::endian::native == std::endian::big) words[1] >>= 8;  // frees the byte of the length
  }
  return {words[0], words[1] | uint64_t{n} << 56};
}

class WordTable {
 public:
  explicit WordTable(size_t expected = 0) : entries_(std::bit_ceil(2 * expected + 2)) {}
  void set(const WordKey& key, int32_t id) { entries_.find(key.hash(), Is{key}) = {key, id}; }
  int32_t find(const WordKey& key) const { return entries_.find(key.hash(), Is{key}).id; }

 private:
  struct Entry {
    WordKey key = {0, 0};
    int32_t id = -1;
    bool free() const { return id < 0; }
  };
  struct Is {
    const WordKey& key;
    bool operator()(const Entry& e) const { return e.key == key; }
  };
  ProbingTable<Entry, HashBits::kHigh> entries_;
};

}  // namespace lathe
