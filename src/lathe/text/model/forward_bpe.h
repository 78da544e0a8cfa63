// Byte-pair encoding from left to right, in linear time whatever the piece holds. Internal to
// text/.
//
// Tokens t1 … tk are the encoding of their text if and only if every two neighbours are the
// encoding of theirs. (Between two tokens of a result nothing is merged across, so the merges
// inside their text are those that this text sees alone. The other way round: the first merge
// across a border, were there one, would have been the best choice inside the two tokens' text
// too.) So the encoding is found by taking the longest token that goes with the token before, and
// going back where none does. The encoding of a prefix is unique, so a place that has been left
// backwards is never reached again: at most (1 + the number of tokens that begin another) steps a
// byte. Berglund & van der Merwe 2023, arXiv:2309.08715, treat such encodings formally.
//
// Whether two tokens go together is seen by undoing their merges, the later one first, and looking
// for a merge across the border that would have come before the one just undone.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "lathe/text/probing_table.h"

namespace lathe {

// The one merge that makes a token, in the order in which merges are preferred.
struct TokenOrigin {
  int32_t left = -1, right = -1;  // -1: a single byte
  int32_t rank = -1;              // of two merges with different results never the same
};

class PairTable;
class Vocabulary;

class ForwardBpe {
 public:
  // `tokens`: every token that merging can make, single bytes (all 256) included; `origins` by id.
  // nullptr when some token's part is made later than the token, where the rule above is not exact,
  // or when there are more than kMaxNodes different beginnings of tokens.
  static std::unique_ptr<ForwardBpe> make(const Vocabulary& vocabulary,
                                          const std::vector<int32_t>& tokens,
                                          std::vector<TokenOrigin> origins);

  struct Scratch {
    std::vector<uint64_t> dead;  // places from which the text's end is not reached
    int64_t steps = 0;           // tokens tried, in all calls
  };
  // Appends the tokens of `piece`. `pairs` holds the tokens' merges.
  void encode(std::string_view piece, const PairTable& pairs, Scratch& scratch,
              std::vector<int32_t>& out) const;

 private:
  static constexpr int kNodeBits = 24;
  static constexpr size_t kMaxNodes = (size_t{1} << kNodeBits) - 1;
  struct Child {  // one word: node, byte, child
    uint64_t word = ~uint64_t{0};
    bool free() const { return word == ~uint64_t{0}; }
    uint64_t key() const { return word >> kNodeBits; }
  };

  explicit ForwardBpe(std::vector<TokenOrigin> origins);
  bool add(int32_t token, std::string_view bytes);
  void link(int32_t token, std::string_view bytes);
  int32_t child(int32_t node, uint8_t byte) const;
  int32_t longest(const uint8_t* p, const uint8_t* end) const;
  bool go_together(int32_t left, int32_t right, const PairTable& pairs) const;

  std::vector<TokenOrigin> origins_;
  std::vector<uint32_t> lengths_;  // by id
  std::vector<int32_t> shorter_;   // by id: the longest token that begins this one, -1
  std::vector<int32_t> token_of_;  // by node of the tree of beginnings: the token, -1
  ProbingTable<Child, HashBits::kHigh> children_;
};

}  // namespace lathe
