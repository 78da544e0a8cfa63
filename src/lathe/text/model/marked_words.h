// SentencePiece's model of words: a token for each stretch of text that begins with U+2581 (whatever
// the model says of white space as a suffix), or the unknown token, one for a run of unknown words.
// Immutable, hence thread-safe.
#pragma once

#include "lathe/text/model/token_model.h"

namespace lathe {

class MarkedWords : public TokenModel {
 public:
  MarkedWords(Vocabulary words, int32_t unknown)
      : TokenModel(std::move(words)), unknown_(unknown) {}

  std::string_view type() const override { return "WordLevel"; }
  int32_t unknown_id() const override { return unknown_; }
  std::unique_ptr<TextEncoder> encoder(const PreTokenizer& pre_tokenizer) const override;

 private:
  int32_t unknown_;
};

}  // namespace lathe
