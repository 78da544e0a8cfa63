#include "lathe/embed/relevance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lathe/base/error.h"
#include "lathe/infer/cache_plan.h"
#include "lathe/infer/text_likelihood.h"
#include "lathe/model/model_pass.h"
#include "lathe/ops/pick_rows.h"

namespace lathe {
namespace {

constexpr int64_t kPassTokens = 1024;

Relevance::Kind kind_of(const Transformer& model, const SentenceEncoder* encoder) {
  const ModelConfig& c = model.config();
  if (c.num_labels > 0) {
    require(
        c.num_labels == 1 && (c.pooler || c.body_traits().causal), ErrorKind::kConfig, "rerank",
        "the model gives {} scores{}, but a text is ranked by one; give a classifier of sequences with one "
        "label (architectures: \"...ForSequenceClassification\")",
        c.num_labels, c.num_labels == 1 ? " of each token" : "");
    return Relevance::Kind::kPair;
  }
  if (encoder != nullptr && (!c.body_traits().causal || encoder->config().from_modules))
    return Relevance::Kind::kCosine;
  require(
      c.lm_head && c.body_traits().causal, ErrorKind::kConfig, "rerank",
      "the model gives neither vectors of texts nor log-probabilities; give an encoder, a classifier with one "
      "label or a language model");
  return Relevance::Kind::kLikelihood;
}

void require_fits(int64_t tokens, int64_t most, size_t number, std::string_view what) {
  require(tokens <= most, ErrorKind::kData, "rerank",
          "text {} has {} tokens{}, but the model reads at most {}; give it in parts, nothing is "
          "cut",
          number, tokens, what, most);
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

Relevance::Relevance(const Transformer& model, const Tokenizer& tokenizer,
                     const SentenceEncoder* encoder)
    : model_(model), tokenizer_(tokenizer), encoder_(encoder), kind_(kind_of(model, encoder)) {
  if (kind_ == Kind::kPair) pairs_ = std::make_unique<PairEncoder>(tokenizer);
}

Relevance::Scores Relevance::of(std::string_view query, std::span<const std::string> texts,
                                int64_t most, const std::function<void()>& between) const {
  require(!query.empty(), ErrorKind::kData, "rerank", "the query is empty");
  for (size_t i = 0; i < texts.size(); ++i)
    require(!texts[i].empty(), ErrorKind::kData, "rerank", "text {} is empty", i);
  most = std::min(most, model_.longest_text().value_or(most));
  switch (kind_) {
    case Kind::kPair:
      return of_pairs(query, texts, most, between);
    case Kind::kCosine:
      return of_vectors(query, texts, std::min(most, encoder_->longest()), between);
    case Kind::kLikelihood:
      break;
  }
  return of_likelihoods(query, texts, most, between);
}

std::vector<double> Relevance::scores_of_pairs(std::span<const TextPair> pairs) const {
  IdRows ids;
  std::vector<int32_t> types;
  for (const TextPair& pair : pairs) {
    ids.push_back(pair.ids);
    types.insert(types.end(), pair.types.begin(), pair.types.end());
  }
  Rows rows = Rows::of(ids);
  if (model_.config().type_vocab_size > 0)
    rows.token_types = Tensor::of<int32_t>(types, {std::ssize(types)});
  const Pass plain;
  const Tensor hidden = ModelPass(model_, plain).hidden({.rows = rows}).value;
  const bool last = model_.config().body_traits().causal;
  std::vector<int64_t> places;
  for (int64_t b = 0; b < rows.sequences.count(); ++b)
    places.push_back(last ? rows.sequences.first(b + 1) - 1 : rows.sequences.first(b));
  return model_.scores(plain, Var(rows_at(hidden, places))).value.to_vector();
}

Relevance::Scores Relevance::of_pairs(std::string_view query, std::span<const std::string> texts,
                                      int64_t most, const std::function<void()>& between) const {
  Scores out;
  std::vector<TextPair> pairs;
  for (size_t i = 0; i < texts.size(); ++i) {
    pairs.push_back(pairs_->encode(query, texts[i]));
    const int64_t tokens = std::ssize(pairs.back().ids);
    require(tokens > 0, ErrorKind::kData, "rerank", "text {} and the query have no tokens", i);
    require_fits(tokens, most, i, " together with the query");
    out.tokens += tokens;
  }
  const bool alone = tokens_compete(model_.config()) || moves_tokens(model_);
  for (size_t begin = 0, end = 0; begin < pairs.size(); begin = end) {
    if (between) between();
    int64_t tokens = std::ssize(pairs[begin].ids);
    for (end = begin + 1;
         !alone && end < pairs.size() && tokens + std::ssize(pairs[end].ids) <= kPassTokens; ++end)
      tokens += std::ssize(pairs[end].ids);
    for (const double s : scores_of_pairs(std::span(pairs).subspan(begin, end - begin)))
      out.of_texts.push_back(sigmoid(s));
  }
  return out;
}

Relevance::Scores Relevance::of_vectors(std::string_view query, std::span<const std::string> texts,
                                        int64_t most, const std::function<void()>& between) const {
  Scores out;
  IdRows ids;
  for (size_t i = 0; i < texts.size(); ++i) {
    ids.push_back(encoder_->tokens(texts[i]));
    require_fits(std::ssize(ids.back()), most, i, "");
    out.tokens += std::ssize(ids.back());
  }
  const std::vector<int32_t> asked = encoder_->tokens(query);
  require(std::ssize(asked) <= most, ErrorKind::kData, "rerank",
          "the query has {} tokens, but the model reads at most {}; shorten it", asked.size(),
          most);
  out.tokens += std::ssize(asked);
  const Tensor of_query = encoder_->embed(std::span(&asked, 1), between);
  const Tensor vectors = encoder_->embed(ids, between);
  const std::span<const float> a = of_query.span<float>();
  for (int64_t i = 0; i < vectors.size(0); ++i) {
    const std::span<const float> b = vectors.narrow(0, i, 1).span<float>();
    out.of_texts.push_back(std::transform_reduce(
        a.begin(), a.end(), b.begin(), 0.0, std::plus<>(),
        [](float x, float y) { return static_cast<double>(x) * static_cast<double>(y); }));
  }
  return out;
}

Relevance::Scores Relevance::of_likelihoods(std::string_view query,
                                            std::span<const std::string> texts, int64_t most,
                                            const std::function<void()>& between) const {
  Scores out;
  const std::vector<int32_t> asked = tokenizer_.encode(query);
  require(!asked.empty(), ErrorKind::kData, "rerank", "the query has no tokens");
  std::vector<ScoredText> scored;
  for (size_t i = 0; i < texts.size(); ++i) {
    ScoredText text{.tokens = tokenizer_.encode(texts[i])};
    require(!text.tokens.empty(), ErrorKind::kData, "rerank", "text {} has no tokens", i);
    text.context = std::ssize(text.tokens);
    text.tokens.insert(text.tokens.end(), asked.begin(), asked.end());
    require_fits(std::ssize(text.tokens), most, i, " together with the query");
    out.tokens += std::ssize(text.tokens);
    scored.push_back(std::move(text));
  }
  for (const TextLikelihood& one : TextLikelihoods(model_).of(scored, between))
    out.of_texts.push_back(one.sum() / static_cast<double>(asked.size()));
  return out;
}

}  // namespace lathe
