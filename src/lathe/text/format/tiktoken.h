// Files of tiktoken's ranks, with the added tokens that stand in a file beside them. Internal to
// text/.
#pragma once

#include "lathe/text/tokenizer.h"

namespace lathe {

// tiktoken's files hold no added tokens. Where `FILE` was written with some, they are in
// `FILE.added_tokens.json`: an object whose `added_tokens` are those of a tokenizer.json.
inline constexpr std::string_view kAddedTokensEnding = ".added_tokens.json";

// As Tokenizer::from_tiktoken, with the ids that the added tokens have.
Tokenizer tiktoken_tokenizer(std::string_view ranks, std::string_view origin, Pattern pattern,
                             std::vector<AddedToken> added);

}  // namespace lathe
