// A comparison of tokenizers as one self-contained HTML page: their sizes, bytes per token by text,
// and the same sentences as each cuts them.
#pragma once

#include <string>
#include <vector>

#include "lathe/lab/tokenizer_comparison.h"

namespace lathe {

// `facts`: by tokenizer.
std::string tokenizer_page(const TokenizerComparison& comparison,
                           const std::vector<VocabularyFacts>& facts, int64_t hidden_size);

}  // namespace lathe
