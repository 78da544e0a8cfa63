// Contrastive search (Su et al. 2022, arXiv:2202.06417): of the k most likely next tokens v the one
// with the largest
//
//   (1 − α) · p(v | x) − α · max_j cos(h_v, h_j)
//
// where h_v is the state that the head reads behind v, and h_j those of all tokens of the text
// before it, the prompt included, as in transformers. So a token is taken that is likely and does
// not say what has been said. It knows no model: what it is given are rows of logits and cosines.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lathe/infer/sampler/generation_config.h"

namespace lathe {

// Not thread-safe.
class ContrastiveSearch {
 public:
  struct Candidate {
    int32_t token = 0;
    double probability = 0;
  };

  static constexpr int64_t kMostCandidates = 256;

  // penalty_alpha (α) and top_k (k) of `config`. Errors: those of check().
  explicit ContrastiveSearch(const GenerationConfig& config);
  // Throws kConfig with beams, and for fewer than two candidates or more than kMostCandidates. What
  // plans memory by the number of candidates calls it first.
  static void check(const GenerationConfig& config);

  // The candidates that are open, most likely first; none at the beginning.
  std::span<const Candidate> candidates() const { return candidates_; }
  // The index of the next token, the more likely one on ties, given the largest cosine of each with
  // the text before it. There must be candidates. Errors: kNumeric for NaN.
  size_t choose(std::span<const double> cosines) const;
  // Opens the candidates that follow, from the logits [V] behind the chosen one, −inf where a token
  // must not follow. Errors: kNumeric if none may, and for NaN.
  void expand(std::span<const float> logits);

 private:
  double alpha_;
  int64_t most_;
  std::vector<Candidate> candidates_;
};

}  // namespace lathe
