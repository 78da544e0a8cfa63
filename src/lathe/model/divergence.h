// How far one model's predictions are from another's on the same text: what quantisation,
// pruning or a merge costs.
//
// The text is cut into windows, each computed alone, and every position but the first of a window is
// scored. With p the original's distribution for the next token and q the other's:
//   perplexity   exp(mean of -ln q(token))
//   kl           sum over tokens v of p(v)·(ln p(v) - ln q(v)), in nats
//   agreement    share of positions where both find the same token likeliest
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "lathe/model/transformer.h"

namespace lathe {

struct Divergence {
  int64_t windows = 0, tokens = 0;  // tokens that are scored
  double perplexity_original = 0, perplexity = 0;
  double kl_mean = 0, kl_p99 = 0;  // of positions; the 99th percentile interpolates linearly
  double top1_agreement = 0;
};

struct DivergenceOptions {
  int64_t window = 512;  // or as many tokens as the model reads, if that is less
  std::function<void(int64_t done)> progress = {};  // tokens of the text; may throw
};

// Throws kData for a model that does not predict the next token of a text.
void check_predicts_next_token(const ModelConfig& config);

// Both are causal models with the same vocabulary; computes in their arithmetic, sums in f64. Throws
// kData for a text of fewer than two tokens and for models that do not fit each other.
Divergence divergence(const Transformer& original, const Transformer& other,
                      std::span<const int32_t> text, const DivergenceOptions& options = {});

// The logits that the model gives for the token after each of a text's but the last, f32 [T-1,V];
// through the cache, if there is one, that its owner has made ready for a pass of the text.
Tensor next_token_logits(const Transformer& model, const std::vector<int32_t>& text,
                         AttentionCache* cache = nullptr);
// Throws what divergence() throws for models and texts that it does not compare.
void require_comparable(const Transformer& original, const Transformer& other,
                        std::span<const int32_t> text);
// The same comparison of any two ways to get such logits, of the same width. The windows are those
// of the options.
using LogitsOfText = std::function<Tensor(const std::vector<int32_t>& text)>;
Divergence divergence_of(const LogitsOfText& original, const LogitsOfText& other,
                         std::span<const int32_t> text, const DivergenceOptions& options);
// The mean KL of two such tensors.
double mean_divergence(const Tensor& original, const Tensor& other);

}  // namespace lathe
