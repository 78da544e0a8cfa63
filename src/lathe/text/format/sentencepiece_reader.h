// A Tokenizer from a SentencePiece model file.
#pragma once

#include <string_view>

#include "lathe/text/format/sentencepiece_file.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

// The ids are those of `sentencepiece` 0.2.3. Control symbols are never found in a text; BOS is
// added before it on request, or EOS behind it where a model has no BOS. Throws kFormat, naming
// `origin`, for damaged parts and for models that cut whole words.
Tokenizer sentencepiece_tokenizer(SentencePieceFile file, std::string_view origin);

}  // namespace lathe
