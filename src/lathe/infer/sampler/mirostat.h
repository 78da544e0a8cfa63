// Mirostat (Basu et al. 2020, arXiv:2007.14966): holds the surprise of the text near a target τ, in
// bits per token, by a feedback. A bound μ, which begins at 2τ, says how surprising a token may be;
// after each draw of a token x
//
//   μ ← μ − η (S(x) − τ),  S(x) = −log2 p(x),
//
// with p before the truncation. The truncation is
//
//   version 1: top-k with k = (ε 2^μ / (1 − n^−ε))^(1/s) to the nearest whole number, ε = s − 1, n
//              the number of tokens left, and s the exponent of Zipf's law that fits the 100 most
//              likely of them by least squares: s = Σ t b / Σ t², t = ln((i+1)/i),
//              b = ln(p_i / p_{i+1}), i from 1;
//   version 2: the tokens with S <= μ.
//
// One token always stays. Ties with the k-th stay, too.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace lathe {

struct Mirostat {
  int64_t version;       // 1 or 2
  double target;         // τ >= 0, bits
  double learning_rate;  // η >= 0
};

// Of one sequence.
struct MirostatState {
  std::optional<double> bound;  // μ; none before the first draw
  double log_total = 0;         // ln Σ e^l of the last row before its truncation
};

void mirostat(std::span<float> logits, const Mirostat& spec, MirostatState& state);

// Updates the bound. `logit` is that of the token drawn, from the row that mirostat() left.
void observe_mirostat(float logit, const Mirostat& spec, MirostatState& state);

}  // namespace lathe
