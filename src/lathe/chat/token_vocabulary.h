// A tokenizer's tokens as constraints see them.
#pragma once

#include <memory>

#include "lathe/constraint/constraint.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

// Every token but special ones, as its bytes in the middle of a text. `ends`: the ids that end an
// answer. `marks`: tokens that are read as themselves, special or not (tool_call_syntax.h), those among `ends` left
// out. The tokenizer must outlive it.
std::shared_ptr<const TokenVocabulary> token_vocabulary(const Tokenizer& tokenizer,
                                                        std::vector<int32_t> ends,
                                                        std::vector<int32_t> marks = {});

}  // namespace lathe
