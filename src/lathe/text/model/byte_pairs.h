// Merges of two bytes that are certain from the bytes on both sides. Internal to text/.
//
// A merge that crosses the border between two bytes makes one token of a token that ends in the one
// and a token that begins with the other. So none crosses it that comes before
//
//     bound(x, y) = the lowest rank of a merge whose left token ends in x and whose right token
//                   begins with y
//
// Two bytes whose own merge comes before the bounds of the borders on both sides are still alone
// when its turn comes, whatever else the piece holds. It need not wait for its turn: what it makes
// possible crosses one of those borders, and hence comes after it as well.
//
// Of random letters that is a fifth of all borders and nearly half of all merges (GPT-NeoX).
//
// Immutable once made, hence thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "lathe/base/utf8.h"
#include "lathe/text/model/pair_merger.h"
#include "lathe/text/vocabulary.h"

namespace lathe {

class BytePairs {
 public:
  using ByteIds = std::array<int32_t, 256>;  // token of a byte, -1: none

  BytePairs() = default;
  // Of the merges in `pairs`; result_of(rank) is the token that one makes.
  BytePairs(const Vocabulary& vocabulary, const ByteIds& byte_ids, const PairTable& pairs,
            const std::function<int32_t(int32_t rank)>& result_of);

  // Writes the tokens of a piece whose bytes all have one: those of bytes, and those of the merges
  // that are certain. Beside each goes the rank of its merge with the token before it,
  // PairMerger::kUnknownRank unless both are bytes. Returns their number.
  size_t merge(std::string_view piece, const ByteIds& byte_ids, int32_t* ids, int32_t* ranks) const;

 private:
  struct Border {
    int32_t rank = PairTable::kNoRank, bound = PairTable::kNoRank, result = -1;
  };
  const Border& border(uint8_t left, uint8_t right) const {
    return borders_[size_t{left} << 8 | right];
  }

  std::vector<Border> borders_;
};

}  // namespace lathe
