// A Tokenizer as tiktoken's rank file: a line `base64-of-token rank` for each token.
#pragma once

#include <string>
#include <vector>

#include "lathe/text/tokenizer.h"

namespace lathe {

struct TiktokenFile {
  std::string ranks;
  Pattern pattern;  // the file does not hold it: what to read it with
  // The file does not hold these either: tiktoken is given them beside it, by ascending id.
  std::vector<AddedToken> added;
};

// Throws kFormat, naming the obstacle, for whatever a rank file cannot say, so that text without
// added tokens has the same ids in both:
//
//   a normaliser; a split that is not one of the catalogue's patterns; an unknown token; a byte
//   without a token; a token whose text is not bytes; a merge that comes before one whose result
//   has a lower id; a token that the ranks would merge from other parts than the merges do; a
//   token, without ignore_merges, that merging its own bytes does not give.
//
// The check of the last two is exact. tiktoken joins the adjacent tokens whose joined bytes have
// the lowest rank, the leftmost of equals. Whenever it makes a token, all that happened before
// between that token's bytes happened as if they stood alone, because nothing crossed their ends
// and the lowest pair of all is the lowest of theirs. So a token is always made of the two parts
// that its bytes alone have become. If for every token these parts are a merge of the tokenizer's,
// then each step of tiktoken is a merge, and as merges are in the order of ranks, it is the one
// that the tokenizer makes next.
TiktokenFile to_tiktoken(const Tokenizer& tokenizer);

}  // namespace lathe
