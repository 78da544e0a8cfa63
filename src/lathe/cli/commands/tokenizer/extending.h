// What `lathe tokenizer extend` and `lathe extend` have in common: pieces learned from text, and what they
// change about its length.
#pragma once

#include <vector>

#include "lathe/cli/commands/data/corpus_input.h"
#include "lathe/lab/tokenizer_comparison.h"
#include "lathe/text/extend_tokenizer.h"

namespace lathe {

// extend_tokenizer() on the documents of files, with a progress bar; warns of words that did not fit into
// the memory.
ExtendedTokenizer learn_pieces(const Tokenizer& old, const ExtendOptions& options,
                               const DocumentConfig& documents, CorpusInput& input,
                               CommandContext& context);

// What the old and the new tokenizer make of a text.
struct Fertility {
  TextLength before, after;

  Fertility& operator+=(const Fertility& more);
  nlohmann::ordered_json facts() const;
};
// By file.
std::vector<Fertility> measure_fertility(const Tokenizer& before, const Tokenizer& after,
                                         const DocumentConfig& documents, CorpusInput& input);

}  // namespace lathe
