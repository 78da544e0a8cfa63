// A Tokenizer as the tokenizer of a GGUF file.
#pragma once

#include "lathe/text/format/gguf_vocabulary.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

struct GgufVocabularyOptions {
  // Receives what llama.cpp leaves out that the tokenizer does (a normaliser, white space that is
  // removed or that added tokens take along), in words that follow "it"; null: that is an error.
  std::vector<std::string>* left_out = nullptr;
  // Names a pre-tokeniser that cuts digits apart for a large vocabulary without a merge of a digit,
  // as llama.cpp's converter does by the ids of a check text: so it was trained, also where its
  // tokenizer.json has lost it. Only runs of spaces before a digit get other ids by it.
  bool as_trained = false;
};

// What gguf_tokenizer() makes a tokenizer of with the same ids, unless something is left out. Throws
// kFormat, naming the obstacle, for what the format cannot say: other models than BPE on bytes and
// SentencePiece's, a normaliser or a split that llama.cpp has no name for, added tokens that take
// white space along or stand only between words; of SentencePiece's BPE a character map, removed
// white space, and characters without byte fallback. A tokenizer.json that is SentencePiece's BPE
// counts as that.
GgufVocabulary gguf_vocabulary_of(const Tokenizer& tokenizer,
                                  const GgufVocabularyOptions& options = {});

// The same for the tokenizer of a model's folder, with what the folder says beside it: the special
// tokens and flags of tokenizer_config.json, and the chat template. A token table with more rows
// than the tokenizer has ids, `rows`, gets unused tokens for the rest. `left_out` as above.
GgufVocabulary gguf_vocabulary_of_folder(const std::string& folder, int64_t rows,
                                         std::vector<std::string>* left_out);

}  // namespace lathe
