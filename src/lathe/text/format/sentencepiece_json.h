// What a SentencePiece model does to a text, in the words of tokenizer.json.
#pragma once

#include "lathe/text/tokenizer_data.h"

namespace lathe {

// The parts of a tokenizer.json with which `tokenizers` does what `data` does. Throws kUsage, naming
// what stands against it, for a SentencePiece model that they cannot describe.
TokenizerParts json_parts_of(const TokenizerData& data);

}  // namespace lathe
