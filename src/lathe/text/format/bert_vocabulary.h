// The vocab.txt of BERT: a token in each line, whose number is its id.
#pragma once

#include <span>
#include <string_view>

#include "lathe/text/tokenizer.h"

namespace lathe {

// Whether a file looks like one: text with a line "[UNK]".
bool is_bert_vocabulary(std::string_view content);

// WordPiece with BERT's normaliser and pre-tokeniser; [CLS] and [SEP] stand around a text on
// request. The file does not say whether text is lower-cased: it is unless some token that is not
// in brackets has a capital letter of ASCII. Throws kFormat, naming `origin` and the line, for a
// token that is not valid UTF-8 or there twice. `further` are tokens, by ascending id, that the
// folder of the model adds.
Tokenizer bert_tokenizer(std::string_view content, std::string_view origin,
                         std::span<const AddedToken> further = {});

}  // namespace lathe
