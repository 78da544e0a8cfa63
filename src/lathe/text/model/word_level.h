// A token for each word: a pre-token is the token that it spells, or the unknown token. Immutable,
// hence thread-safe.
#pragma once

#include <optional>

#include "lathe/text/model/token_model.h"

namespace lathe {

class WordLevel : public TokenModel {
 public:
  // Without an unknown token, encoding throws kData for a word without a token.
  WordLevel(Vocabulary tokens, std::optional<int32_t> unknown)
      : TokenModel(std::move(tokens)), unknown_(unknown) {}

  std::string_view type() const override { return "WordLevel"; }
  int32_t unknown_id() const override { return unknown_.value_or(-1); }
  std::unique_ptr<TextEncoder> encoder(const PreTokenizer& pre_tokenizer) const override;

  int32_t id_of_word(std::string_view word) const;

 private:
  std::optional<int32_t> unknown_;
};

}  // namespace lathe
