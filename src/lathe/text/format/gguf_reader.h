// A Tokenizer from the tokenizer in a GGUF file.
#pragma once

#include <string_view>

#include "lathe/text/format/gguf_vocabulary.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

// The ids are llama.cpp's with parse_special. `origin` names the file in messages. Throws kFormat
// for models that are not supported, unknown pre-tokenisers, and as Tokenizer::from_json().
Tokenizer gguf_tokenizer(const GgufVocabulary& vocabulary, std::string_view origin);

}  // namespace lathe
