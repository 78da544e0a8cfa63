// The sentences of passages that support what is said of them, by the words that both have.
#pragma once

#include <string>
#include <string_view>

#include "lathe/documents/search/document_index.h"
#include "lathe/documents/search/word_overlap.h"

namespace lathe {

// covered(), but 0 where the sentence has a word with a digit that the passage lacks: a number, a date or a name of a thing
// that it does not say.
double support_of(std::string_view sentence, std::string_view passage, const WordWeight& weight);

struct Quote {
  int64_t begin = 0, end = 0;  // bytes of the file
  std::string text;
};
// The sentence of a chunk that shares most with what is said of it and what was asked: the weight of the words that both
// have, divided by the fourth root of its length in words, so that long sentences do not win by their length alone.
Quote quote_for(const FoundChunk& chunk, std::string_view said, std::string_view question,
                const WordWeight& weight);

}  // namespace lathe
