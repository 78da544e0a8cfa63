// The parts of a tokenizer, put together by the readers and the trainer. Internal to text/.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lathe/text/added_tokens.h"
#include "lathe/text/decode/decoder.h"
#include "lathe/text/decode/sentencepiece_decoder.h"
#include "lathe/text/decode/token_texts.h"
#include "lathe/text/model/token_model.h"
#include "lathe/text/normalize/normalizer.h"
#include "lathe/text/spelling.h"
#include "lathe/text/split/pretokenizer.h"

namespace lathe {

// The parts of tokenizer.json that are kept as they came and written back.
struct TokenizerParts {
  text_json::Json normalizer = {}, pre_tokenizer = {}, post_processor = {},
                  decoder = {};  // or null
};

// What the tokenizers of SentencePiece's model files have beside the other parts.
struct SentencePieceParts {
  SentencePieceFile file;
  SentencePieceDecoding decoding;
};

struct TokenizerData {
  // `added` may have ids of `model`'s vocabulary or ids of their own.
  TokenizerData(std::unique_ptr<const TokenModel> token_model, std::vector<AddedToken> added_tokens,
                TokenizerParts json_parts, std::string_view origin,
                std::unique_ptr<const SentencePieceParts> from_sentencepiece = nullptr);

  std::unique_ptr<const TokenModel> model;
  std::vector<AddedToken> added;  // ascending ids
  TokenizerParts parts;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Decoder decoder;  // unless there is `sentencepiece`
  std::unique_ptr<const SentencePieceParts> sentencepiece;
  AddedTokenMatcher raw_matcher, normalized_matcher;
  std::vector<int32_t> added_by_id;  // index into `added`, -1; by id
  std::vector<int32_t> prefix, suffix;
  int32_t vocab_size = 0;

  const Vocabulary& vocabulary() const { return model->vocabulary(); }
  TokenSpelling spelling() const {
    return pre_tokenizer.byte_level() ? TokenSpelling::kByteAlphabet : TokenSpelling::kPlain;
  }
  bool has(int64_t id) const {
    return id >= 0 && id < vocab_size &&
           (added_by_id[id] >= 0 || vocabulary().has(static_cast<int32_t>(id)));
  }
  // As the decoder takes a token. Requires has(id).
  std::string spelling_of_token(int32_t id) const;
  // What tokens stand for in the middle of a text, by id; computed when it is first asked for.
  const TokenTexts& texts() const;
  // The tokens are bytes, and the decoder does no more than join them.
  bool joins_bytes = false;
  const AddedToken* added_token(int64_t id) const {
    if (id < 0 || id >= vocab_size || added_by_id[id] < 0) return nullptr;
    return &added[added_by_id[id]];
  }

 private:
  std::string text_in_the_middle(int32_t id) const;
  mutable std::once_flag texts_made_;
  mutable TokenTexts texts_;
};

// From tokenizer_parts.cc.
// A post-processor that puts one token before and one behind a text; null for neither.
text_json::Json template_processor(const AddedToken* before, const AddedToken* behind);
// Whether `decoder` does no more with a byte-level vocabulary than to join its bytes.
bool joins_bytes(const text_json::Json& decoder);
// Ids that a post-processor puts before and behind a single text.
void read_post_processor(const text_json::Json& post, std::string_view origin,
                         std::vector<int32_t>& prefix, std::vector<int32_t>& suffix);

}  // namespace lathe
