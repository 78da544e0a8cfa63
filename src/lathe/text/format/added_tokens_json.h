// The list `added_tokens` of a tokenizer.json. Internal to text/.
#pragma once

#include <string>
#include <vector>

#include "lathe/text/added_tokens.h"
#include "lathe/text/format/json_fields.h"
#include "lathe/text/spelling.h"

namespace lathe {

// Of a document with the member `added_tokens`, or without it: as they are listed, of equal ones the
// first.
std::vector<AddedToken> listed_added_tokens(const text_json::Json& document,
                                            std::string_view origin);

// Of a tokenizer_config.json, in its member `added_tokens_decoder`: by id, ascending.
std::vector<AddedToken> added_tokens_of_config(const text_json::Json& config,
                                               std::string_view origin);

// Those of a document with the ids that they have beside a vocabulary. A token that is in the vocabulary
// has its id there; the others follow behind the vocabulary in their order, whatever id the file
// gives them: so `tokenizers` does it, and those are the ids that a model was trained with.
std::vector<AddedToken> read_added_tokens(const text_json::Json& document,
                                          const Vocabulary& vocabulary, TokenSpelling spelling,
                                          std::string_view origin);

// "[…]", a token in each line.
std::string added_tokens_text(const std::vector<AddedToken>& added);

}  // namespace lathe
