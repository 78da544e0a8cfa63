// Counts the pairs of adjoining tokens of a text on all threads, in bounded memory. Internal to
// text/.
//
// What a thread works on is a part of the pairs, chosen by their left tokens, and not of the text:
// every thread goes through all of the text, which is fast, and looks up its own pairs only, which
// is slow. So no two threads meet in one table, and the places of a pair come in their order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lathe/text/train/merge_text.h"

namespace lathe {

inline uint64_t hash_of_pair(int32_t left, int32_t right) {
  uint64_t key = uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  key = (key + 1) * 0x9E3779B97F4A7C15ull;
  return (key ^ (key >> 32)) * 0xD6E8FEB86659FD93ull;
}

// A share of the tokens.
struct TokenPart {
  int64_t part, parts;
  bool holds(int32_t token) const {
    const uint32_t hash = static_cast<uint32_t>(token) * 0x9E3779B1u;
    return static_cast<int64_t>(uint64_t{hash} * static_cast<uint64_t>(parts) >> 32) == part;
  }
};

// The tokens of a text, how many entries each occupies, and how many a pair may occupy.
struct PairedText {
  const MergeText& text;
  std::span<const int32_t> lengths;
  int32_t longest;
};

struct PlacedPair {
  uint64_t hash;
  int32_t left, right;
  uint32_t position;  // of the left token
  uint32_t word;
};

// Calls f(pair) for the pairs of the text whose left tokens are in the part, by their positions, and
// look_ahead(hash) for some of them before, so that f need not wait for memory.
template <class Ahead, class F>
void for_each_pair(const PairedText& in, TokenPart part, Ahead&& look_ahead, F&& f) {
  constexpr size_t kBlock = 32;
  std::array<PlacedPair, kBlock + 1> block;
  size_t held = 0;
  const auto release = [&] {
    for (size_t i = 0; i < held; ++i) look_ahead(block[i].hash);
    for (size_t i = 0; i < held; ++i) f(block[i]);
    held = 0;
  };
  const MergeText& text = in.text;
  for (size_t word = 0; word < static_cast<size_t>(text.words()); ++word) {
    const size_t end = text.word_end(word);
    for (size_t i = text.word_begin(word);;) {
      const int32_t left = text.at(i);
      const int32_t length = in.lengths[left];
      const size_t next = i + static_cast<size_t>(length);
      if (next >= end) break;
      const int32_t right = text.at(next);
      block[held] = {hash_of_pair(left, right), left, right, static_cast<uint32_t>(i),
                     static_cast<uint32_t>(word)};
      // No branch, which could not be predicted.
      held += static_cast<size_t>(part.holds(left)) &
              static_cast<size_t>(length + in.lengths[right] <= in.longest);
      if (held == kBlock) release();
      i = next;
    }
  }
  release();
}

struct PairCount {
  int32_t left = 0, right = 0;
  int64_t count = 0;    // by the counts of words
  uint32_t places = 0;  // 0 for none
  bool free() const { return places == 0; }
};

// The pairs that count at least `threshold`, in an order that may depend on the number of threads.
std::vector<PairCount> frequent_pairs(const PairedText& text, int64_t threshold);

}  // namespace lathe
