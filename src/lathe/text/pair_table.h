// The two hash tables of the encoder: pairs of tokens to the rank of their merge, and short words
// to their token. Both are open-addressing tables that are built once and then only read.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace lathe {

// One machine word per pair, so that the table of a large vocabulary stays in the second-level
// cache; ids and ranks are below 2^21 for that.
class PairTable {
 public:
  static constexpr int32_t kNoRank = INT32_MAX;
  static constexpr int kBits = 21;
  static constexpr int32_t kMaxId = (1 << kBits) - 2;
  static constexpr int32_t kMaxRank = (1 << kBits) - 1;

  explicit PairTable(size_t expected = 0) {
    const size_t slots = std::bit_ceil(2 * expected + 2);
    entries_.assign(slots, kEmpty);
    shift_ = 64 - std::countr_zero(slots);
    const size_t bits = std::max<size_t>(4 * slots, 64);
    filter_.assign(bits / 64, 0);
    filter_shift_ = 64 - std::countr_zero(bits);
  }

  // A later rank for the same pair replaces the earlier one.
  void set(int32_t left, int32_t right, int32_t rank) {
    const uint64_t key = key_of(left, right), hash = hash_of(key);
    filter_[hash >> filter_shift_ >> 6] |= uint64_t{1} << (hash >> filter_shift_ & 63);
    size_t slot = hash >> shift_;
    while (entries_[slot] != kEmpty && entries_[slot] >> kBits != key)
      slot = (slot + 1) & (entries_.size() - 1);
    entries_[slot] = key << kBits | static_cast<uint32_t>(rank);
  }

  int32_t rank(int32_t left, int32_t right) const {
    const uint64_t key = key_of(left, right), hash = hash_of(key);
    const uint64_t bit = hash >> filter_shift_;
    if (!(filter_[bit >> 6] >> (bit & 63) & 1)) return kNoRank;
    for (size_t slot = hash >> shift_;; slot = (slot + 1) & (entries_.size() - 1)) {
      if (entries_[slot] >> kBits == key) return static_cast<int32_t>(entries_[slot] & kMaxRank);
      if (entries_[slot] == kEmpty) return kNoRank;
    }
  }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};  // no key: ids stop before all bits are set
  static uint64_t key_of(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << kBits | static_cast<uint32_t>(right);
  }
  static uint64_t hash_of(uint64_t key) {
    key *= 0x9E3779B97F4A7C15ull;
    return (key ^ (key >> 32)) * 0xD6E8FEB86659FD93ull;
  }
  std::vector<uint64_t> entries_, filter_;
  int shift_ = 0, filter_shift_ = 0;
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
  explicit WordTable(size_t expected = 0) {
    const size_t slots = std::bit_ceil(2 * expected + 2);
    entries_.assign(slots, Entry{{0, 0}, -1});
    shift_ = 64 - std::countr_zero(slots);
  }
  void set(const WordKey& key, int32_t id) {
    size_t slot = key.hash() >> shift_;
    while (entries_[slot].id >= 0 && entries_[slot].key != key)
      slot = (slot + 1) & (entries_.size() - 1);
    entries_[slot] = {key, id};
  }
  int32_t find(const WordKey& key) const {
    for (size_t slot = key.hash() >> shift_;; slot = (slot + 1) & (entries_.size() - 1)) {
      if (entries_[slot].key == key || entries_[slot].id < 0) return entries_[slot].id;
    }
  }

 private:
  struct Entry {
    WordKey key;
    int32_t id;
  };
  std::vector<Entry> entries_;
  int shift_ = 0;
};

}  // namespace lathe
