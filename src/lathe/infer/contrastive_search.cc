#include "lathe/infer/contrastive_search.h"

#include <cmath>
#include <limits>

#include "lathe/base/error.h"
#include "lathe/infer/logprobs.h"

namespace lathe {
namespace {

void require_number(double x) {
  require(!std::isnan(x), ErrorKind::kNumeric, "contrastive search",
          "a logit or a state is NaN; the model or its precision is broken");
}

}  // namespace

ContrastiveSearch::ContrastiveSearch(const GenerationConfig& config)
    : alpha_(config.penalty_alpha), most_(config.top_k) {
  check(config);
}

void ContrastiveSearch::check(const GenerationConfig& config) {
  require(config.num_beams == 1, ErrorKind::kConfig, "penalty_alpha",
          "cannot be combined with beams (num_beams): contrastive search has one text that grows "
          "token by token; use one of them");
  require(config.top_k >= 2 && config.top_k <= kMostCandidates, ErrorKind::kConfig, "top_k",
          "{}, but contrastive search (penalty_alpha) chooses among so many of the most likely "
          "tokens; set it to 2 to {}, e.g. 4",
          config.top_k, kMostCandidates);
}

size_t ContrastiveSearch::choose(std::span<const double> cosines) const {
  require(!candidates_.empty() && cosines.size() == candidates_.size(), ErrorKind::kUsage,
          "contrastive search", "{} cosines for {} candidates", cosines.size(), candidates_.size());
  size_t best = 0;
  double best_score = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < cosines.size(); ++i) {
    require_number(cosines[i]);
    const double score = (1 - alpha_) * candidates_[i].probability - alpha_ * cosines[i];
    if (score <= best_score) continue;
    best = i;
    best_score = score;
  }
  return best;
}

void ContrastiveSearch::expand(std::span<const float> logits) {
  candidates_.clear();
  for (const float logit : logits) require_number(logit);
  for (const TokenLogprob& each : Logprobs(logits).top(most_))
    if (each.logprob > -std::numeric_limits<float>::infinity())
      candidates_.push_back({each.token, std::exp(static_cast<double>(each.logprob))});
  require(!candidates_.empty(), ErrorKind::kNumeric, "contrastive search",
          "no token may follow; loosen the constraint or the penalties");
}

}  // namespace lathe
