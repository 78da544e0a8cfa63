// WordPiece (Schuster & Nakajima 2012; as BERT has it: Devlin et al. 2018, arXiv:1810.04805).
//
//   while the word is not used up: take the longest token that begins what is left of it; behind
//   the first such token, a token is spelled with the prefix "##"
//
// A word that cannot be used up, or has more than `longest_word` characters, is the unknown token
// as a whole. Immutable, hence thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/double_array.h"
#include "lathe/text/model/token_model.h"

namespace lathe {

struct WordPieceOptions {
  std::optional<int32_t> unknown;  // without it, such words are an error
  std::string continuing_prefix = "##";
  int64_t longest_word = 100;  // characters
};

class WordPiece : public TokenModel {
 public:
  WordPiece(Vocabulary tokens, WordPieceOptions options);

  std::string_view type() const override { return "WordPiece"; }
  int32_t unknown_id() const override { return options_.unknown.value_or(-1); }
  std::unique_ptr<TextEncoder> encoder(const PreTokenizer& pre_tokenizer) const override;
  const WordPieceOptions& options() const { return options_; }

  // Appends the tokens of a word. Throws kData for an unknown word without an unknown token.
  void encode(std::string_view word, std::vector<int32_t>& out) const;

 private:
  WordPieceOptions options_;
  DoubleArray first_, inside_;  // spellings without the prefix, by where they may stand
};

}  // namespace lathe
