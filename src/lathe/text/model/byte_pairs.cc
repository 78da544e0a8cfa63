#include "lathe/text/model/byte_pairs.h"

#include <algorithm>

namespace lathe {

BytePairs::BytePairs(const Vocabulary& vocabulary, const ByteIds& byte_ids, const PairTable& pairs,
                     const std::function<int32_t(int32_t rank)>& result_of)
    : borders_(size_t{1} << 16) {
  pairs.for_each([&](int32_t left, int32_t right, int32_t rank) {
    if (vocabulary.bytes(left).empty() || vocabulary.bytes(right).empty()) return;
    const auto x = static_cast<uint8_t>(vocabulary.bytes(left).back());
    const auto y = static_cast<uint8_t>(vocabulary.bytes(right).front());
    Border& between = borders_[size_t{x} << 8 | y];
    between.bound = std::min(between.bound, rank);
    if (left != byte_ids[x] || right != byte_ids[y]) return;
    between.rank = rank;
    between.result = result_of(rank);
  });
}

size_t BytePairs::merge(std::string_view piece, const ByteIds& byte_ids, int32_t* ids,
                        int32_t* ranks) const {
  const uint8_t* p = as_bytes(piece);
  const size_t n = piece.size();
  const Border end;
  const Border *before = &end, *here = n > 1 ? &border(p[0], p[1]) : &end;
  size_t count = 0;
  bool merged_before = false, two_bytes = false;  // two_bytes: as yet tokens of their own
  for (size_t i = 0; i < n; ++i) {
    const Border* next = i + 2 < n ? &border(p[i + 1], p[i + 2]) : &end;
    // No branch: a processor cannot guess it. Two neighbours are never merged both, since a bound
    // is at most the rank.
    const bool merged = (here->rank < before->bound) & (here->rank < next->bound);
    ranks[count] = (two_bytes & !merged) ? before->rank : PairMerger::kUnknownRank;
    ids[count] = merged ? here->result : byte_ids[p[i]];
    count += !merged_before;
    two_bytes = !merged_before & !merged;
    merged_before = merged;
    before = here;
    here = next;
  }
  return count;
}

}  // namespace lathe
