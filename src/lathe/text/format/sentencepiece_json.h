// The parts of a SentencePiece tokenizer in the words of a tokenizer.json. Internal to text/.
#pragma once

#include "lathe/text/tokenizer_data.h"

namespace lathe {

// The parts of any tokenizer as `tokenizers` reads them, with the same ids. Throws kFormat, naming
// the obstacle, for what a tokenizer.json cannot say: white space as a suffix or without "▁",
// unused pieces, pieces of byte-pair encoding that have the same score, a denormaliser.
//
// Control symbols become special tokens, which are found in a text, as everywhere in a
// tokenizer.json.
TokenizerParts json_parts_of(const TokenizerData& data);

}  // namespace lathe
