// A Tokenizer from a SentencePiece model file.
#pragma once

#include <span>
#include <string_view>

#include "lathe/text/format/sentencepiece_file.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

// The ids are those of `sentencepiece` 0.2.3. Control symbols are never found in a text; BOS is
// added before it on request, or EOS behind it where a model has no BOS. `further` are tokens, by
// ascending id, that the folder of the model adds; those that the model lacks are found in a text as
// the user's symbols are. Throws kFormat, naming `origin`, for damaged parts, for models
// of words with byte fallback, and for further tokens whose ids do not follow the model's.
Tokenizer sentencepiece_tokenizer(SentencePieceFile file, std::string_view origin,
                                  std::span<const AddedToken> further = {});

}  // namespace lathe
