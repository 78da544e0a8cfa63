// Group-relative policy optimisation (Shao et al. 2024, arXiv:2402.03300) and its variants. The advantage A
// of an answer is its reward minus its group's mean, divided by the group's (or the batch's) standard
// deviation + 1e-4; of several rewards each can be standardised so before they are added, and then their sum
// over the batch (GDPO, arXiv:2601.05242). With ρ = π/π_old of a token, or of a sequence the mean of its
// log-ratios (GSPO, Zheng et al. 2025, arXiv:2507.18071), the loss of a token is
//   grpo, bnpo, dr_grpo, dapo, luspo   −min(min(ρ, δ)·A, clip(ρ, 1 − ε, 1 + ε_high)·A)
//   cispo   −sg(min(ρ, ε_high))·A·log π                      MiniMax 2025, arXiv:2506.13585
//   sapo    −4/τ·σ(τ(ρ − 1))·A, τ by the sign of A           Gao et al. 2025, arXiv:2511.20347
//   vespo   −sg(φ(w))·A·log π, log φ = λ + k log w − λw, w the sequence's ratio
// and that of a step
//   grpo, sapo  mean over answers of their means    bnpo, dapo, cispo, vespo  mean over tokens
//   dr_grpo     sum / (answers · max_completion_length), Liu et al. 2025, arXiv:2503.20783
//   luspo       mean over answers of their sums
// dapo: Yu et al. 2025, arXiv:2503.14476. δ: two-sided clipping (INTELLECT-2, arXiv:2505.07291).
#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/train/objective/objective_entry.h"
#include "lathe/train/objective/rollouts.h"

namespace lathe {
namespace {

struct GrpoConfig {
  RolloutConfig rollouts;
  std::string loss = "dapo", scale_rewards = "group", importance_sampling_level = "token";
  double beta = 0, epsilon = 0.2, entropy_coef = 0, top_entropy_quantile = 1;
  std::optional<double> epsilon_high, delta, off_policy_mask_threshold;
  bool use_bias_correction_kl = false;
  double sapo_temperature_pos = 1.0, sapo_temperature_neg = 1.05;
  double vespo_k_pos = 2, vespo_lambda_pos = 3, vespo_k_neg = 3, vespo_lambda_neg = 2;
  std::optional<std::string> reference;

  void visit(Visitor& v);
  std::map<std::string, std::string> models() const {
    if (beta == 0) return {};
    return {{"reference", reference.value_or("")}};
  }
  void check(const RowShape&, const KeyErrors& keys) const;
  bool clips() const { return !is_one_of(loss, {"cispo", "sapo", "vespo"}); }
};

void GrpoConfig::check(const RowShape&, const KeyErrors& keys) const {
  rollouts.check(keys);
  if (rollouts.multi_objective_aggregation == "normalize_then_sum" && scale_rewards != "group")
    keys.refuse("scale_rewards",
                "normalize_then_sum divides each part by its group's deviation and the sum by the "
                "batch's, whatever scale_rewards says; leave it out");
  const GrpoConfig usual;
  const bool bounded = clips() || loss == "cispo", corrects = use_bias_correction_kl && beta > 0;
  refuse_unread(keys, reference && beta == 0, "reference", "beta above 0");
  refuse_unread(keys, use_bias_correction_kl && beta == 0, "use_bias_correction_kl",
                "beta above 0");
  refuse_unread(keys, epsilon != usual.epsilon && !bounded, "epsilon",
                "a loss that bounds the ratio (grpo, bnpo, dr_grpo, dapo, luspo, cispo)");
  refuse_unread(keys, epsilon_high && !bounded, "epsilon_high",
                "a loss that bounds the ratio (grpo, bnpo, dr_grpo, dapo, luspo, cispo)");
  refuse_unread(keys, epsilon != usual.epsilon && epsilon_high && loss == "cispo", "epsilon",
                "another loss than cispo, of which epsilon_high is the largest ratio");
  refuse_unread(keys, delta && !clips(), "delta",
                "a loss that clips (grpo, bnpo, dr_grpo, dapo, luspo)");
  refuse_unread(
      keys,
      importance_sampling_level != usual.importance_sampling_level && loss == "vespo" && !corrects,
      "importance_sampling_level", "another loss than vespo, which weighs whole answers");
  const auto of_loss = [&](const char* name, const char* key, double value, double default_value) {
    refuse_unread(keys, value != default_value && loss != name, key,
                  fmt::format("loss = \"{}\"", name));
  };
  of_loss("sapo", "sapo_temperature_pos", sapo_temperature_pos, usual.sapo_temperature_pos);
  of_loss("sapo", "sapo_temperature_neg", sapo_temperature_neg, usual.sapo_temperature_neg);
  of_loss("vespo", "vespo_k_pos", vespo_k_pos, usual.vespo_k_pos);
  of_loss("vespo", "vespo_lambda_pos", vespo_lambda_pos, usual.vespo_lambda_pos);
  of_loss("vespo", "vespo_k_neg", vespo_k_neg, usual.vespo_k_neg);
  of_loss("vespo", "vespo_lambda_neg", vespo_lambda_neg, usual.vespo_lambda_neg);
}

void GrpoConfig::visit(Visitor& v) {
  v.choice("loss", loss, {"grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"},
           "the loss of a token, and what it is averaged over");
  rollouts.visit(v);
  rollouts.visit_groups(v);
  v.field("beta", beta, "weight of the KL divergence to the reference; 0 needs none", at_least(0));
  v.field("use_bias_correction_kl", use_bias_correction_kl,
          "multiply the KL divergence by the ratio of the policies");
  v.field("epsilon", epsilon, "how far a ratio may fall below 1 before it is clipped",
          between(0, 1));
  v.field("epsilon_high", epsilon_high,
          "how far it may rise above; default: epsilon. cispo: the largest ratio itself", above(0));
  v.field("delta", delta, "the largest ratio that counts where the advantage is negative",
          above(0));
  v.choice("scale_rewards", scale_rewards, {"group", "batch", "none"},
           "whose standard deviation advantages are divided by");
  v.choice(
      "multi_objective_aggregation", rollouts.multi_objective_aggregation,
      {"sum_then_normalize", "normalize_then_sum"},
      "of several rewards: normalize_then_sum standardises each in its group before the weights, and "
      "the sum over the batch (GDPO, arXiv:2601.05242)");
  v.choice("importance_sampling_level", importance_sampling_level, {"token", "sequence"},
           "sequence: one ratio for each answer (GSPO)");
  v.field("top_entropy_quantile", top_entropy_quantile,
          "share of the tokens, those of highest entropy, that are trained (Wang et al. 2025, "
          "arXiv:2506.01939)",
          Limits{.minimum = 0, .maximum = 1, .exclusive_minimum = true});
  v.field("entropy_coef", entropy_coef, "weight of the entropy, which is rewarded", at_least(0));
  v.field("off_policy_mask_threshold", off_policy_mask_threshold,
          "answers of negative advantage whose mean log-ratio to the old policy is larger are left "
          "out (DeepSeek-V3.2)",
          at_least(0));
  v.field("sapo_temperature_pos", sapo_temperature_pos, "sapo: τ of positive advantages", above(0));
  v.field("sapo_temperature_neg", sapo_temperature_neg, "sapo: τ of others", above(0));
  v.field("vespo_k_pos", vespo_k_pos, "vespo: k of advantages of at least 0");
  v.field("vespo_lambda_pos", vespo_lambda_pos, "vespo: λ of these", above(0));
  v.field("vespo_k_neg", vespo_k_neg, "vespo: k of negative advantages");
  v.field("vespo_lambda_neg", vespo_lambda_neg, "vespo: λ of these", above(0));
  v.field(
      "reference", reference,
      "with beta: folder of the model to stay near; default: the starting weights, with an adapter "
      "the base");
}

// Numbers minus the mean of their group, and the group's standard deviation (over n − 1), for each.
struct Spread {
  std::vector<double> centred, deviation;
};
Spread spread_of(const std::vector<double>& x, const std::vector<size_t>& group, size_t groups) {
  const std::vector<Moments> moments = moments_of(x, group, groups);
  Spread result;
  for (size_t i = 0; i < x.size(); ++i) {
    result.centred.push_back(x[i] - moments[group[i]].mean);
    result.deviation.push_back(moments[group[i]].deviation(true));
  }
  return result;
}
std::vector<double> standardised(const Spread& spread) {
  std::vector<double> result = spread.centred;
  for (size_t i = 0; i < result.size(); ++i) result[i] /= spread.deviation[i] + 1e-4;
  return result;
}

class Grpo : public AnswerObjective {
 public:
  explicit Grpo(const GrpoConfig& config) : c_(config) {}

  AnswerNeeds needs() const override {
    return {.kind = ExampleKind::kRollout,
            .reference = c_.beta > 0,
            .policy = {.temperature = c_.rollouts.temperature, .entropy = true}};
  }

  const RolloutConfig* rollouts() const override { return &c_.rollouts; }

  std::vector<Advantages> advantages(const std::vector<RolloutBatch>& step) const override;
  AnswerLoss loss(const LossInput& in) const override;

 private:
  // Everything that one micro-batch's loss is made of, for each token.
  struct Terms {
    Values log_ratio, ratio;  // of tokens, also where they are one for a sequence
    Values advantages;
    std::vector<uint8_t> clipped;
  };

  std::vector<double> relative(const std::vector<const Example*>& answers,
                               const std::vector<size_t>& group, size_t groups) const;
  Terms terms_of(const LossInput& in) const;
  Values policy_loss(const LossInput& in, Terms& t) const;
  Values clipped_loss(Terms& t) const;
  Values soft_loss(const Terms& t) const;
  std::vector<double> vespo_weights(const LossInput& in, const Terms& t) const;
  std::vector<double> mask(const LossInput& in, const Terms& t) const;
  std::vector<double> entropy_mask(const LossInput& in) const;
  Values averaged(const LossInput& in, const Values& each) const;
  void add_metrics(const LossInput& in, const Terms& t, std::vector<Measured>& metrics) const;

  const GrpoConfig c_;
};

// The weighted sum of the parts, each standardised in its group, of every answer.
std::vector<double> sums_of_normalised(const std::vector<const Example*>& answers,
                                       const std::vector<size_t>& group, size_t groups) {
  std::vector<double> sums(answers.size());
  const size_t parts = answers[0]->rewards.size();
  for (const Example* each : answers)
    require(
        parts > 0 && each->rewards.size() == parts, ErrorKind::kData, each->place,
        "the row has {} parts of a reward in 'rewards' and another one {}, but normalize_then_sum needs the "
        "same parts of all; give them, or set objective.multi_objective_aggregation = "
        "\"sum_then_normalize\"",
        each->rewards.size(), parts);
  for (size_t k = 0; k < parts; ++k) {
    std::vector<double> part;
    for (const Example* each : answers) part.push_back(each->rewards[k].value);
    const std::vector<double> normal = standardised(spread_of(part, group, groups));
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += answers[i]->rewards[k].weight * normal[i];
  }
  return sums;
}

std::vector<double> Grpo::relative(const std::vector<const Example*>& answers,
                                   const std::vector<size_t>& group, size_t groups) const {
  const std::vector<size_t> batch(answers.size(), 0);
  if (c_.rollouts.multi_objective_aggregation == "normalize_then_sum")
    return standardised(spread_of(sums_of_normalised(answers, group, groups), batch, 1));
  std::vector<double> rewards;
  for (const Example* each : answers) rewards.push_back(each->reward);
  Spread own = spread_of(rewards, group, groups);
  if (c_.scale_rewards == "none") return own.centred;
  if (c_.scale_rewards == "batch") own.deviation = spread_of(rewards, batch, 1).deviation;
  return standardised(own);
}

std::vector<Advantages> Grpo::advantages(const std::vector<RolloutBatch>& step) const {
  const Groups groups = groups_of(step, 2);
  std::vector<const Example*> answers;
  std::vector<size_t> group;
  for (size_t m = 0; m < step.size(); ++m) {
    answers.insert(answers.end(), step[m].batch->examples.begin(), step[m].batch->examples.end());
    group.insert(group.end(), groups.of[m].begin(), groups.of[m].end());
  }
  const std::vector<double> all = relative(answers, group, groups.sizes.size());
  std::vector<Advantages> result;
  auto next = all.begin();
  for (const RolloutBatch& micro : step) {
    const auto end = next + micro.batch->sequences();
    result.push_back({.advantages = at_tokens({next, end}, micro.batch->scored)});
    next = end;
  }
  return result;
}

Grpo::Terms Grpo::terms_of(const LossInput& in) const {
  Terms t;
  t.log_ratio = in.logps - old_logps(in);
  t.advantages = Values(in.advantages.advantages);
  Values importance = t.log_ratio;
  if (c_.importance_sampling_level == "sequence") {
    std::vector<double> lengths;
    for (int64_t s = 0; s < in.batch.sequences(); ++s)
      lengths.push_back(static_cast<double>(std::max<int64_t>(1, in.batch.scored.length(s))));
    importance = spread(sums(t.log_ratio, in.batch.scored) / Values(lengths), in.batch.scored);
  }
  t.ratio = exp(importance);
  return t;
}

// One token's loss where ratios are clipped.
Values Grpo::clipped_loss(Terms& t) const {
  const double low = 1 - c_.epsilon, high = 1 + c_.epsilon_high.value_or(c_.epsilon);
  const Values near = clamp(t.ratio, low, high);
  if (c_.delta) t.ratio = clamp(t.ratio, -INFINITY, *c_.delta);
  for (size_t i = 0; i < t.ratio.size(); ++i)
    t.clipped.push_back((t.ratio[i] < low && t.advantages[i] < 0) ||
                        (t.ratio[i] > high && t.advantages[i] > 0));
  return -minimum(t.ratio * t.advantages, near * t.advantages);
}

Values Grpo::soft_loss(const Terms& t) const {
  std::vector<double> temperatures;
  for (size_t i = 0; i < t.ratio.size(); ++i)
    temperatures.push_back(t.advantages[i] > 0 ? c_.sapo_temperature_pos : c_.sapo_temperature_neg);
  const Values tau(temperatures);
  return -(sigmoid(tau * (t.ratio - 1.0)) * 4.0 / tau) * t.advantages;
}

// φ(w) of each sequence, for each token.
std::vector<double> Grpo::vespo_weights(const LossInput& in, const Terms& t) const {
  const double least = std::log(1e-8), most = 20;
  std::vector<double> weights;
  for (int64_t s = 0; s < in.batch.sequences(); ++s) {
    double log_w = 0;
    for (int64_t i = in.batch.scored.first(s); i < in.batch.scored.first(s + 1); ++i)
      log_w += std::clamp(t.log_ratio[static_cast<size_t>(i)], -most, most);
    log_w = std::clamp(log_w, least, most);
    for (int64_t i = in.batch.scored.first(s); i < in.batch.scored.first(s + 1); ++i) {
      const bool good = t.advantages[static_cast<size_t>(i)] >= 0;
      const double k = good ? c_.vespo_k_pos : c_.vespo_k_neg;
      const double lambda = good ? c_.vespo_lambda_pos : c_.vespo_lambda_neg;
      weights.push_back(std::exp(lambda + k * log_w - lambda * std::exp(log_w)));
    }
  }
  return weights;
}

Values Grpo::policy_loss(const LossInput& in, Terms& t) const {
  if (c_.loss == "sapo") return soft_loss(t);
  if (c_.loss == "vespo") return -Values(vespo_weights(in, t)) * t.advantages * in.logps;
  if (c_.loss != "cispo") return clipped_loss(t);
  const double most = c_.epsilon_high.value_or(c_.epsilon);
  for (size_t i = 0; i < t.ratio.size(); ++i)
    t.clipped.push_back(t.ratio[i] > most && t.advantages[i] > 0);
  return -clamp(t.ratio, -INFINITY, most).detached() * t.advantages * in.logps;
}

// The tokens whose entropy is among the highest.
std::vector<double> Grpo::entropy_mask(const LossInput& in) const {
  std::vector<double> sorted = in.entropy.numbers();
  std::ranges::sort(sorted);
  const double at = (1 - c_.top_entropy_quantile) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at), above = std::min(below + 1, sorted.size() - 1);
  const double threshold =
      sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
  std::vector<double> mask;
  for (const double entropy : in.entropy.numbers()) mask.push_back(entropy >= threshold ? 1 : 0);
  return mask;
}

// 0 for the tokens of answers that the old policy would hardly give and that were bad.
std::vector<double> Grpo::mask(const LossInput& in, const Terms& t) const {
  std::vector<double> mask(static_cast<size_t>(in.batch.tokens()), 1.0);
  for (int64_t s = 0; c_.off_policy_mask_threshold && s < in.batch.sequences(); ++s) {
    const int64_t first = in.batch.scored.first(s), end = in.batch.scored.first(s + 1);
    double kl = 0;
    for (int64_t i = first; i < end; ++i) kl -= t.log_ratio[static_cast<size_t>(i)];
    kl /= static_cast<double>(std::max<int64_t>(1, end - first));
    for (int64_t i = first; i < end; ++i)
      if (t.advantages[static_cast<size_t>(i)] < 0 && kl > *c_.off_policy_mask_threshold)
        mask[static_cast<size_t>(i)] = 0;
  }
  return mask;
}

Values Grpo::averaged(const LossInput& in, const Values& each) const {
  const auto answers = static_cast<double>(in.step.sequences);
  if (c_.loss == "luspo") return sum(each) / answers;
  if (c_.loss == "dr_grpo")
    return sum(each) / (answers * static_cast<double>(c_.rollouts.max_completion_length));
  if (c_.loss != "grpo" && c_.loss != "sapo")
    return sum(each) / static_cast<double>(in.step.tokens);
  std::vector<double> lengths;
  for (int64_t s = 0; s < in.batch.sequences(); ++s)
    lengths.push_back(static_cast<double>(std::max<int64_t>(1, in.batch.scored.length(s))));
  return sum(sums(each, in.batch.scored) / Values(lengths)) / answers;
}

AnswerLoss Grpo::loss(const LossInput& in) const {
  Terms t = terms_of(in);
  const Values unclipped = t.ratio;
  Values each = policy_loss(in, t);
  Values entropy = in.entropy;
  double entropies = static_cast<double>(in.batch.tokens());
  if (c_.off_policy_mask_threshold) each = each * Values(mask(in, t));
  if (c_.top_entropy_quantile < 1) {
    const Values kept(entropy_mask(in));
    each = each * kept;
    entropy = entropy * kept;
    entropies = std::max(1.0, sum(kept).item());
  }
  AnswerLoss result;
  if (c_.beta > 0) {
    const Values d = Values(in.reference) - in.logps;
    Values kl = exp(d) - d - 1.0;
    if (c_.use_bias_correction_kl) kl = kl * unclipped;
    each = each + c_.beta * kl;
    result.metrics.push_back(measured("kl", kl));
  }
  result.loss = averaged(in, each);
  if (c_.entropy_coef > 0)
    result.loss = result.loss - c_.entropy_coef * in.share() * sum(entropy) / entropies;
  add_metrics(in, t, result.metrics);
  return result;
}

void Grpo::add_metrics(const LossInput& in, const Terms& t, std::vector<Measured>& metrics) const {
  metrics.push_back(measured("entropy", in.entropy));
  if (t.clipped.empty()) return;
  double clipped = 0, weight = 0;
  const bool by_sequence = c_.importance_sampling_level == "sequence";
  for (int64_t s = 0; s < in.batch.sequences(); ++s)
    for (int64_t i = in.batch.scored.first(s); i < in.batch.scored.first(s + 1); ++i) {
      if (by_sequence && i > in.batch.scored.first(s)) break;  // one ratio for all
      clipped += t.clipped[static_cast<size_t>(i)];
      ++weight;
    }
  metrics.push_back(
      {c_.loss == "cispo" ? "cispo_clip_ratio" : "clip_ratio/region_mean", clipped, weight});
}

}  // namespace

Objective grpo_objective() {
  return answer_objective<Grpo, GrpoConfig>(
      {.name = "grpo",
       .summary = "reinforcement with the mean of a group of answers as the baseline",
       .source = "Shao et al. 2024, arXiv:2402.03300"});
}

}  // namespace lathe
