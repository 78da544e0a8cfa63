// How well passages support what is said of them, by the words that both have.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "lathe/documents/search/document_index.h"

namespace lathe {

// How much a word says: ln(1 + (N − n + ½) / (n + ½)), as BM25 weighs it.
using WordWeight = std::function<double(const std::string& word)>;

// The share of the weight of the words of `said` that `text` has, from 0 to 1; 1 where nothing is said.
double covered(std::string_view said, std::string_view text, const WordWeight& weight);

struct Quote {
  int64_t begin = 0, end = 0;  // bytes of the file
  std::string text;
};
// The sentence of a chunk that shares most with what is said of it and what was asked: the weight of the words that both
// have, divided by the fourth root of its length in words, so that long sentences do not win by their length alone.
Quote quote_for(const FoundChunk& chunk, std::string_view said, std::string_view question,
                const WordWeight& weight);

}  // namespace lathe
