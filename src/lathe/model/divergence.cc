#include "lathe/model/divergence.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/model/model_pass.h"

namespace lathe {
namespace {

// ln of the sum of exp(x), its sum in f64.
double log_sum_exp(std::span<const float> x) {
  const float most = *std::ranges::max_element(x);
  double sum = 0;
  for (const float v : x) sum += std::exp(v - most);
  return double{most} + std::log(sum);
}

struct Scored {
  double kl, nll_original, nll;
  bool agree;
};

Scored score(std::span<const float> original, std::span<const float> other, int32_t token) {
  const double lse_p = log_sum_exp(original), lse_q = log_sum_exp(other);
  const auto shift = static_cast<float>(lse_p);
  double kl = 0;
  for (size_t v = 0; v < original.size(); ++v)
    kl += double{std::exp(original[v] - shift)} * (double{original[v]} - double{other[v]});
  const auto at = static_cast<size_t>(token);
  return {.kl = kl - lse_p + lse_q,
          .nll_original = lse_p - double{original[at]},
          .nll = lse_q - double{other[at]},
          .agree = std::ranges::max_element(original) - original.begin() ==
                   std::ranges::max_element(other) - other.begin()};
}

std::span<const float> row_of(const Tensor& logits, int64_t row) {
  const int64_t width = logits.size(1);
  return logits.span<float>().subspan(static_cast<size_t>(row * width), static_cast<size_t>(width));
}

double quantile(std::vector<double> x, double share) {
  std::ranges::sort(x);
  const double at = share * static_cast<double>(x.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, x.size() - 1);
  return x[below] + (at - static_cast<double>(below)) * (x[above] - x[below]);
}

Divergence summary(const std::vector<Scored>& all, int64_t windows) {
  Divergence d{.windows = windows, .tokens = std::ssize(all)};
  const auto n = static_cast<double>(all.size());
  double nll = 0, nll_original = 0, agreeing = 0;
  std::vector<double> kl;
  for (const Scored& s : all) {
    nll += s.nll;
    nll_original += s.nll_original;
    d.kl_mean += s.kl / n;
    agreeing += s.agree ? 1 : 0;
    kl.push_back(s.kl);
  }
  d.top1_agreement = agreeing / n;
  d.perplexity = std::exp(nll / n);
  d.perplexity_original = std::exp(nll_original / n);
  d.kl_p99 = quantile(std::move(kl), 0.99);
  return d;
}

}  // namespace

void require_comparable(const Transformer& original, const Transformer& other,
                        std::span<const int32_t> text) {
  const auto &p = original.config(), &q = other.config();
  require(p.vocab_size == q.vocab_size, ErrorKind::kData, "divergence",
          "the models have {} and {} tokens, expected the same vocabulary", p.vocab_size,
          q.vocab_size);
  for (const ModelConfig* c : {&p, &q}) check_predicts_next_token(*c);
  require(text.size() >= 2, ErrorKind::kData, "divergence",
          "the text has {} tokens, expected at least 2; give a longer text", text.size());
}

void check_predicts_next_token(const ModelConfig& c) {
  require(
      c.body_traits().causal && !c.body_traits().encoder, ErrorKind::kData, "divergence",
      "a model with body \"{}\" does not predict the next token of a text; only decoders can be "
      "compared",
      c.body);
}

Tensor next_token_logits(const Transformer& model, const std::vector<int32_t>& text,
                         AttentionCache* cache) {
  ModelPass pass(model, Pass{.cache = cache});
  const Var hidden = pass.hidden({.rows = Rows::of(IdRows{text})});
  const Tensor scored = hidden.value.narrow(0, 0, hidden.value.size(0) - 1);
  return pass.logits(Var(scored)).value.to(DType::kF32);
}

double mean_divergence(const Tensor& original, const Tensor& other) {
  std::vector<double> kl(static_cast<size_t>(original.size(0)));
  parallel_for(original.size(0), 1, [&](int64_t t) {
    kl[static_cast<size_t>(t)] = score(row_of(original, t), row_of(other, t), 0).kl;
  });
  double sum = 0;
  for (const double x : kl) sum += x;
  return sum / static_cast<double>(kl.size());
}

Divergence divergence(const Transformer& original, const Transformer& other,
                      std::span<const int32_t> text, const DivergenceOptions& options) {
  require_comparable(original, other, text);
  DivergenceOptions fitting = options;
  fitting.window = original.window_of(options.window);
  const auto of = [](const Transformer& model) {
    return [&model](const std::vector<int32_t>& ids) { return next_token_logits(model, ids); };
  };
  return divergence_of(of(original), of(other), text, fitting);
}

Divergence divergence_of(const LogitsOfText& original, const LogitsOfText& other,
                         std::span<const int32_t> text, const DivergenceOptions& options) {
  std::vector<Scored> all;
  int64_t windows = 0;
  const auto window = static_cast<size_t>(options.window);
  for (size_t first = 0; first < text.size(); first += window) {
    const auto part = text.subspan(first, std::min(window, text.size() - first));
    if (part.size() < 2) continue;
    const std::vector<int32_t> ids(part.begin(), part.end());
    const Tensor p = original(ids), q = other(ids);
    const size_t before = all.size();
    all.resize(before + part.size() - 1);
    parallel_for(std::ssize(part) - 1, 1, [&](int64_t t) {
      const auto at = static_cast<size_t>(t);
      all[before + at] = score(row_of(p, t), row_of(q, t), part[at + 1]);
    });
    ++windows;
    if (options.progress) options.progress(static_cast<int64_t>(first + part.size()));
  }
  return summary(all, windows);
}

}  // namespace lathe
