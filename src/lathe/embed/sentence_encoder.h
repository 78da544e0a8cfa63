// Vectors of texts: what search and comparison need.
//
//   const SentenceEncoder encoder(model, tokenizer, read_sentence_config(folder, model.config()));
//   const Tensor vectors = encoder.embed(texts);           // f32 [texts, encoder.width()], each of length 1
//
// A text's tokens run through the model; the states behind its last norm (transformers' last_hidden_state) become one
// vector by the folder's poolings and layers (embed/sentence_config.h), which is then divided by its length. So the dot
// product of two vectors is their cosine.
//
// Texts of any lengths share passes without padding, and a text's vector does not depend on its company, to the bit
// (docs/architecture.md, "Numbers"); where tokens of a pass act on each other or their positions follow the longest text
// (experts with a capacity, some rotary scalings), each text has a pass of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lathe/embed/sentence_config.h"
#include "lathe/model/transformer.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

// What becomes of a text with more tokens than SentenceEncoder::longest().
enum class LongTexts : uint8_t {
  kRefuse,  // Error kData
  kCut,     // as sentence-transformers does: its end is left out, special tokens stay
};

struct SentenceEncoderOptions {
  LongTexts long_texts = LongTexts::kRefuse;
  int64_t pass_tokens = 1024;  // of a pass, at most, unless one text has more
};

// Thread-safe. The model and the tokenizer must outlive it.
class SentenceEncoder {
 public:
  // Errors: kConfig for a model with two stacks or with scores in place of its states' use, and for lower_case where the
  // tokenizer tells capitals apart.
  SentenceEncoder(const Transformer& model, const Tokenizer& tokenizer, SentenceConfig config,
                  const SentenceEncoderOptions& options = {});

  int64_t width() const { return config_.width(model_.config().hidden_size); }  // of a vector
  // The most tokens of a text, special ones included.
  int64_t longest() const;
  const SentenceConfig& config() const { return config_; }

  // The tokens of a text as the model was trained to see it, however many; what embed() takes.
  std::vector<int32_t> tokens(std::string_view text) const;

  // f32 [texts, width()], in their order. Special tokens of given ids are the caller's matter. `before_each` is called
  // before each pass and may throw, which ends the work. Errors: kData, with the text's number from 0, for a text
  // without tokens, ids outside the vocabulary, and long texts that are refused; kNumeric for states that are not finite.
  Tensor embed(std::span<const std::vector<int32_t>> texts,
               const std::function<void()>& before_each = {}) const;
  Tensor embed(std::span<const std::string> texts,
               const std::function<void()>& before_each = {}) const;

 private:
  std::vector<int32_t> fitting(const std::vector<int32_t>& text, size_t number) const;
  size_t end_of_pass(const IdRows& texts, size_t begin) const;
  Tensor vectors_of(const IdRows& texts) const;

  const Transformer& model_;
  const Tokenizer& tokenizer_;
  SentenceConfig config_;
  SentenceEncoderOptions options_;
  bool alone_;  // each text in a pass of its own
};

}  // namespace lathe
