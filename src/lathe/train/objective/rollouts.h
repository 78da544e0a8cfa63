// What objectives of rollouts share: advantages, the clipped policy gradient, estimates of a KL
// divergence.
#pragma once

#include <cmath>
#include <string>
#include <string_view>

#include "lathe/train/objective/answer_objective.h"
#include "lathe/train/objective/rollout_config.h"

namespace lathe {

// The sequences of a step by group: for each micro-batch, of each sequence the number of its group.
// Every group has at least `least` sequences, or error kData names the row.
struct Groups {
  std::vector<std::vector<size_t>> of;  // [micro-batch][sequence]
  std::vector<int64_t> sizes;
};
Groups groups_of(const std::vector<RolloutBatch>& step, int64_t least);

// The same number for every token of each sequence.
std::vector<double> at_tokens(const std::vector<double>& of_sequences, const Runs& runs);

// Estimates of KL(policy | reference) from one token each (Schulman 2020, "Approximating KL divergence"):
// with d = log policy − log reference, k1 d, k2 d²/2, k3 e^−d − 1 + d.
double kl_estimate(std::string_view kind, double policy, double reference);
void visit_kl_estimator(Visitor& v, std::string& kind);

// −coefficient·KL of every token, to which the last token of an answer adds its reward; adds the estimates
// to `kl`.
std::vector<double> token_rewards(const RolloutBatch& micro, std::string_view estimator,
                                  double coefficient, double& kl);

// What a mean and a standard deviation are made of.
struct Moments {
  double count = 0, mean = 0, squares = 0;  // squares: Σ (x − mean)²
  // Over n − 1 if `unbiased`, else over n.
  double deviation(bool unbiased, double added = 0) const {
    return std::sqrt(squares / (unbiased ? count - 1 : count) + added);
  }
};
// Of the numbers of each group; group[i] is that of x[i].
std::vector<Moments> moments_of(const std::vector<double>& x, const std::vector<size_t>& group,
                                size_t groups);

// x minus its mean over all numbers, divided by √(variance + within) + beside; less than two are left as they are.
struct Whitening {
  bool unbiased = true;    // as in Moments::deviation()
  bool keep_mean = false;  // which is added again
  double within = 1e-8, beside = 0;
};
void whiten(const std::vector<std::vector<double>*>& numbers, const Whitening& how);

// The clipped surrogate of PPO (Schulman et al. 2017, arXiv:1707.06347), for each token
// −min(ρA, clip(ρ, 1 − ε, 1 + ε)A) with ρ = π/π_old, and the number of tokens where the clip acts.
struct Surrogate {
  Values loss;
  double clipped = 0;
};
Surrogate clipped_surrogate(const LossInput& in, double cliprange);
// The log-probabilities with which the tokens were drawn.
Values old_logps(const LossInput& in);

}  // namespace lathe
