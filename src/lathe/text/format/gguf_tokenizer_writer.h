// A Tokenizer as the tokenizer of a GGUF file.
#pragma once

#include "lathe/text/format/gguf_vocabulary.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

// What gguf_tokenizer() makes a tokenizer of with the same ids. Throws kFormat, naming the obstacle,
// for what the format cannot say: other models than BPE on bytes and SentencePiece's, a normaliser
// or a split that llama.cpp has no name for, added tokens that take white space along or stand only
// between words; of SentencePiece's BPE a character map, removed white space, and characters
// without byte fallback.
GgufVocabulary gguf_vocabulary_of(const Tokenizer& tokenizer);

}  // namespace lathe
