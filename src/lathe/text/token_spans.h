// Token ids together with the part of the text that each stands for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "lathe/text/tokenizer.h"

namespace lathe {

struct TokenSpan {
  int32_t id = 0;
  size_t begin = 0, end = 0;  // bytes of the text, whole characters
};

// The ids of encode(text) in order. An added token has the white space that it takes along; tokens
// that are parts of one character have all of it; a space that a tokenizer puts before a text has
// no bytes. Where a normaliser changes the text, characters are matched with those that became of
// them: exactly as long as it replaces, folds or drops single characters, else nearly.
std::vector<TokenSpan> encode_with_spans(const Tokenizer& tokenizer, std::string_view text);

}  // namespace lathe
