#include "lathe/embed/sentence_encoder.h"

#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/infer/cache_plan.h"
#include "lathe/model/model_pass.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/linear.h"

namespace lathe {
namespace {

void check_model(const ModelConfig& c) {
  require(
      !c.body_traits().encoder, ErrorKind::kConfig, "embeddings",
      "body \"{}\" reads a text in one stack and writes one in another, and has no one vector for a "
      "text; take an encoder or a decoder",
      c.body);
  require(
      c.num_labels == 0, ErrorKind::kConfig, "embeddings",
      "the model gives {} score(s) of a text, and was not made for vectors; take the model without "
      "scores",
      c.num_labels);
}

// vectors f32 [B,D], each divided by its length. One of zeros stays.
void make_unit(const Tensor& vectors) {
  const int64_t width = vectors.size(1);
  float* values = vectors.data<float>();
  for (int64_t b = 0; b < vectors.size(0); ++b, values += width) {
    double sum = 0;
    for (int64_t c = 0; c < width; ++c)
      sum += static_cast<double>(values[c]) * static_cast<double>(values[c]);
    require(std::isfinite(sum), ErrorKind::kNumeric, "embeddings",
            "the model's states are not finite; compute in fp32, or check its weights");
    const double length = std::max(std::sqrt(sum), 1e-12);  // as torch.nn.functional.normalize
    for (int64_t c = 0; c < width; ++c)
      values[c] = static_cast<float>(static_cast<double>(values[c]) / length);
  }
}

Tensor through(const SentenceStep& step, const Tensor& vectors) {
  if (step.weight.defined())
    return ops::activation(step.activation,
                           ops::linear(Var(vectors), Var(step.weight), Var(step.bias)))
        .value;
  make_unit(vectors);
  return vectors;
}

}  // namespace

SentenceEncoder::SentenceEncoder(const Transformer& model, const Tokenizer& tokenizer,
                                 SentenceConfig config, const SentenceEncoderOptions& options)
    : model_(model),
      tokenizer_(tokenizer),
      config_(std::move(config)),
      options_(options),
      alone_(tokens_compete(model.config()) || moves_tokens(model)) {
  check_model(model.config());
  require(!config_.lower_case || tokenizer.encode("ABC Xyz") == tokenizer.encode("abc xyz"),
          ErrorKind::kConfig, "sentence_bert_config.json",
          "do_lower_case is true, but the tokenizer tells capitals apart; lower the texts "
          "yourself and set it to false");
}

int64_t SentenceEncoder::longest() const {
  const int64_t most = model_.longest_text().value_or(model_.config().max_position_embeddings);
  return std::min(most, config_.max_tokens.value_or(most));
}

std::vector<int32_t> SentenceEncoder::tokens(std::string_view text) const {
  return tokenizer_.encode(text, {.add_special_tokens = config_.special_tokens});
}

// As `tokenizers` cuts: the text, and special tokens are put around what is left.
std::vector<int32_t> SentenceEncoder::fitting(const std::vector<int32_t>& text,
                                              size_t number) const {
  const auto most = static_cast<size_t>(longest());
  require(!text.empty(), ErrorKind::kData, "embeddings",
          "text {} has no tokens, expected one at least", number);
  for (const int32_t id : text)
    require(id >= 0 && id < model_.config().vocab_size, ErrorKind::kData, "embeddings",
            "text {} has the token {}, which is outside the vocabulary of {}", number, id,
            model_.config().vocab_size);
  if (text.size() <= most) return text;
  require(options_.long_texts == LongTexts::kCut, ErrorKind::kData, "embeddings",
          "text {} has {} tokens, but this model reads at most {}; give it in parts", number,
          text.size(), most);
  std::vector<int32_t> cut(text.begin(), text.begin() + static_cast<ptrdiff_t>(most));
  const auto end = tokenizer_.suffix_ids();
  if (config_.special_tokens && end.size() < most &&
      std::ranges::equal(std::span(text).last(std::min(end.size(), text.size())), end))
    std::ranges::copy(end, cut.end() - std::ssize(end));
  return cut;
}

size_t SentenceEncoder::end_of_pass(const IdRows& texts, size_t begin) const {
  size_t end = begin + 1;
  int64_t tokens = std::ssize(texts[begin]);
  while (!alone_ && end < texts.size() && tokens + std::ssize(texts[end]) <= options_.pass_tokens)
    tokens += std::ssize(texts[end++]);
  return end;
}

Tensor SentenceEncoder::vectors_of(const IdRows& texts) const {
  const Rows rows = Rows::of(texts);
  const Pass plain;
  const Tensor states = ModelPass(model_, plain).states(rows).value.to(DType::kF32);
  Tensor vectors = pooled(states, rows.sequences, config_.poolings);
  for (const SentenceStep& step : config_.steps) vectors = through(step, vectors);
  make_unit(vectors);
  return vectors;
}

Tensor SentenceEncoder::embed(std::span<const std::vector<int32_t>> texts,
                              const std::function<void()>& before_each) const {
  IdRows all;
  for (size_t i = 0; i < texts.size(); ++i) all.push_back(fitting(texts[i], i));
  const Tensor out({std::ssize(texts), width()}, DType::kF32);
  for (size_t begin = 0, end = 0; begin < all.size(); begin = end) {
    if (before_each) before_each();
    end = end_of_pass(all, begin);
    const IdRows some(all.begin() + static_cast<ptrdiff_t>(begin),
                      all.begin() + static_cast<ptrdiff_t>(end));
    out.narrow(0, static_cast<int64_t>(begin), static_cast<int64_t>(end - begin))
        .copy_from(vectors_of(some));
  }
  return out;
}

Tensor SentenceEncoder::embed(std::span<const std::string> texts,
                              const std::function<void()>& before_each) const {
  IdRows ids;
  for (const std::string& text : texts) ids.push_back(tokens(text));
  return embed(ids, before_each);
}

}  // namespace lathe
