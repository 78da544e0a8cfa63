// The tokens of a conversation: those that a chat template writes, and places kept for later ones.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/tokenizer.h"

namespace lathe {

struct TokenToAdd {
  std::string content;
  bool special = true;  // left out of decoded text on request
};

// The markers that a chat template (Jinja) writes, in its text and in its strings: <|name|>,
// <｜name｜>, [NAME] and the tags <name>. Tags with a closing one stand around text that a reader
// may want, so both are ordinary: <think>, </tool_call>. All others are special.
// In the order in which they stand there, each once; what the template puts together while it runs
// ("<|" + role + "|>") is not found. Any bytes are a template.
std::vector<TokenToAdd> tokens_of_template(std::string_view jinja);

// "<|reserved_special_token_7|>", as Llama 3 calls them.
std::string reserved_token(int64_t number);
bool is_reserved_token(std::string_view token);

struct TokenizerWithTokens {
  Tokenizer tokenizer;               // what its tokenizer.json says
  std::vector<AddedToken> added;     // with their ids, in the order asked for
  std::vector<std::string> present;  // asked for, but there before
  int64_t took_places = 0;           // how many of `added` have the id of a reserved token
};

// Adds tokens that are found in a text before anything else is done to it, and then `reserve`
// reserved ones. A token takes the place of the reserved token with the lowest id, so that no model
// has to grow; without one it gets the next id behind all others. A SentencePiece model becomes a
// tokenizer.json. Throws kConfig for an empty token, one listed twice, one that is not UTF-8, and
// for more ids than there can be.
TokenizerWithTokens add_tokens(const Tokenizer& old, std::span<const TokenToAdd> tokens,
                               int64_t reserve);

}  // namespace lathe
