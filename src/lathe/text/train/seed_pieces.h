// The pieces that Unigram training begins with: frequent substrings. Internal to text/.
//
// Every substring of two or more characters that occurs more than once, and could not be made
// longer without losing an occurrence, is a node of the suffix tree; with it comes every whole word
// that counts more than `once`, which is what a word that was met a single time may count. A node's
// score is count · characters, its count being the sum over the words that hold it (`sentencepiece`
// counts the same in running text). The best `limit` are taken; among equals, the one that is
// smaller as a string.
//
// Pieces are short and never leave a word, so the suffixes need to be sorted by their first
// kLongest characters only. That is done in buckets by the first two bytes, on all threads.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "lathe/text/train/word_list.h"

namespace lathe {

struct SeedPiece {
  uint32_t at;      // in words.text()
  uint16_t length;  // bytes
  double score;     // count · characters
};

// Best first.
std::vector<SeedPiece> seed_pieces(const WordList& words, int32_t longest, int64_t limit,
                                   int64_t once = 1);

}  // namespace lathe
