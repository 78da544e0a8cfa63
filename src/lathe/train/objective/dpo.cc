// Direct preference optimisation and its kin. With c and r the log-ratios log π(y|x) − log π_ref(y|x) of
// the chosen and the rejected answer, Δ = c − r (or of f'-transformed ratios, Wang et al. 2023,
// arXiv:2309.16240), β and ε = label_smoothing, the loss is the mean over pairs of
//   sigmoid       −(1 − ε) log σ(βΔ) − ε log σ(−βΔ)     Rafailov et al. 2023, arXiv:2305.18290; cDPO
//   hinge         max(0, 1 − βΔ)                        Zhao et al. 2023, arXiv:2305.10425
//   ipo           (c/|y_c| − r/|y_r| − 1/2β)²           Azar et al. 2023, arXiv:2310.12036
//   robust        (−(1 − ε) log σ(βΔ) + ε log σ(−βΔ)) / (1 − 2ε)   Chowdhury et al. 2024, arXiv:2403.00409
//   exo_pair      KL(σ(±βΔ) | 1 − ε, ε)                 Ji et al. 2024, arXiv:2402.00856
//   nca_pair      −log σ(βc) − ½ log σ(−βc) − ½ log σ(−βr)   Chen et al. 2024, arXiv:2402.05369
//   bco_pair      −log σ(βc) − log σ(−βr)               Jung et al. 2024, arXiv:2404.04656
//   sppo_hard     (c − 1/2β)² + (r + 1/2β)²             Wu et al. 2024, arXiv:2405.00675
//   aot, aot_unpaired   as sigmoid, of sorted ratios    Melnyk et al. 2024, arXiv:2406.05882
//   apo_zero      1 − σ(βc) + σ(βr)                     D'Oosterlinck et al. 2024, arXiv:2408.06266
//   apo_down      σ(βc) + 1 − σ(β(c − r))               same
//   discopop      (1 − m)·−log σ(βΔ) + m·e^(−βΔ), m = σ(βΔ/τ)   Lu et al. 2024, arXiv:2406.08414
//   sigmoid_norm  −log σ(β(c/|y_c| − r/|y_r|))          length-normalised
#include <algorithm>
#include <cmath>
#include <numeric>

#include "lathe/train/objective/objective_entry.h"
#include "lathe/train/objective/pairs.h"

namespace lathe {
namespace {

struct DpoConfig {
  std::string loss = "sigmoid", f_divergence_type = "reverse_kl";
  double beta = 0.1, label_smoothing = 0, nll_weight = 0, discopop_tau = 0.05;
  double f_alpha_divergence_coef = 0.5;
  std::optional<double> ld_alpha;
  bool use_weighting = false;
  std::optional<std::string> reference;

  void visit(Visitor& v);
  void check(const RowShape&, const KeyErrors& keys) const {
    if (loss == "exo_pair" && label_smoothing == 0)
      keys.refuse("label_smoothing",
                  "exo_pair takes its logarithm: use a small number above 0, 1e-3");
    if (loss == "robust" && label_smoothing >= 0.5)
      keys.refuse("label_smoothing", "robust divides by 1 - 2·label_smoothing: use less than 0.5");
    const DpoConfig usual;
    refuse_unread(keys,
                  label_smoothing != 0 &&
                      !is_one_of(loss, {"sigmoid", "robust", "exo_pair", "aot", "aot_unpaired"}),
                  "label_smoothing",
                  "loss = \"sigmoid\", \"robust\", \"exo_pair\", \"aot\" or \"aot_unpaired\"");
    refuse_unread(keys,
                  f_divergence_type != usual.f_divergence_type &&
                      is_one_of(loss, {"nca_pair", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
                                       "apo_zero", "apo_down"}),
                  "f_divergence_type",
                  "a loss of the difference of two ratios, such as loss = \"sigmoid\"");
    refuse_unread(keys,
                  f_alpha_divergence_coef != usual.f_alpha_divergence_coef &&
                      f_divergence_type != "alpha_divergence",
                  "f_alpha_divergence_coef", "f_divergence_type = \"alpha_divergence\"");
    refuse_unread(keys, discopop_tau != usual.discopop_tau && loss != "discopop", "discopop_tau",
                  "loss = \"discopop\"");
  }
  std::map<std::string, std::string> models() const {
    return {{"reference", reference.value_or("")}};
  }
};

// What a pair's answers are judged by, [B] each.
struct Pair {
  Values chosen, rejected;                // log-ratios to the reference
  Values chosen_score, rejected_score;    // f'-transformed
  Values chosen_length, rejected_length;  // tokens
  Values policy, reference;               // log π(chosen) − log π(rejected) of each model

  Values difference() const { return chosen_score - rejected_score; }
  Values difference_per_token() const {
    return chosen_score / chosen_length - rejected_score / rejected_length;
  }
};

Values smoothed(const Values& x, double e) {
  return -(1 - e) * log_sigmoid(x) - e * log_sigmoid(-x);
}

Values sorted(const Values& x) {
  std::vector<int64_t> index(x.size());
  std::iota(index.begin(), index.end(), 0);
  std::ranges::stable_sort(index, {}, [&](int64_t i) { return x[static_cast<size_t>(i)]; });
  return take(x, std::move(index));
}

using PairLoss = Values (*)(const Pair& p, const DpoConfig& c);
struct PairLossEntry {
  const char* name;
  PairLoss loss;
};

constexpr PairLossEntry kLosses[] = {
    {"sigmoid",
     [](const Pair& p, const DpoConfig& c) {
       return smoothed(c.beta * p.difference(), c.label_smoothing);
     }},
    {"hinge",
     [](const Pair& p, const DpoConfig& c) { return relu(1.0 - c.beta * p.difference()); }},
    {"ipo", [](const Pair& p,
               const DpoConfig& c) { return square(p.difference_per_token() - 1 / (2 * c.beta)); }},
    {"robust",
     [](const Pair& p, const DpoConfig& c) {
       const Values x = c.beta * p.difference();
       const double e = c.label_smoothing;
       return (e * log_sigmoid(-x) - (1 - e) * log_sigmoid(x)) / (1 - 2 * e);
     }},
    {"exo_pair",
     [](const Pair& p, const DpoConfig& c) {
       const Values x = c.beta * p.difference();
       return sigmoid(x) * (log_sigmoid(x) - std::log1p(-c.label_smoothing)) +
              sigmoid(-x) * (log_sigmoid(-x) - std::log(c.label_smoothing));
     }},
    {"nca_pair",
     [](const Pair& p, const DpoConfig& c) {
       return -log_sigmoid(c.beta * p.chosen) - 0.5 * log_sigmoid(-c.beta * p.chosen) -
              0.5 * log_sigmoid(-c.beta * p.rejected);
     }},
    {"bco_pair",
     [](const Pair& p, const DpoConfig& c) {
       return -log_sigmoid(c.beta * p.chosen) - log_sigmoid(-c.beta * p.rejected);
     }},
    {"sppo_hard",
     [](const Pair& p, const DpoConfig& c) {
       return square(p.chosen - 0.5 / c.beta) + square(p.rejected + 0.5 / c.beta);
     }},
    {"aot",
     [](const Pair& p, const DpoConfig& c) {
       return smoothed(c.beta * (sorted(p.policy) - sorted(p.reference)), c.label_smoothing);
     }},
    {"aot_unpaired",
     [](const Pair& p, const DpoConfig& c) {
       return smoothed(c.beta * (sorted(p.chosen) - sorted(p.rejected)), c.label_smoothing);
     }},
    {"apo_zero",
     [](const Pair& p, const DpoConfig& c) {
       return 1.0 - sigmoid(c.beta * p.chosen) + sigmoid(c.beta * p.rejected);
     }},
    {"apo_down",
     [](const Pair& p, const DpoConfig& c) {
       return sigmoid(c.beta * p.chosen) + 1.0 - sigmoid(c.beta * (p.chosen - p.rejected));
     }},
    {"discopop",
     [](const Pair& p, const DpoConfig& c) {
       const Values x = c.beta * p.difference(), mix = sigmoid(x / c.discopop_tau);
       return -log_sigmoid(x) * (1.0 - mix) + exp(-x) * mix;
     }},
    {"sigmoid_norm",
     [](const Pair& p, const DpoConfig& c) {
       return -log_sigmoid(c.beta * p.difference_per_token());
     }},
};

// f'(t) of a divergence f for the ratio t = e^x.
using Transform = Values (*)(const Values& x, const DpoConfig& c);
struct TransformEntry {
  const char* name;
  Transform of;
};
constexpr TransformEntry kTransforms[] = {
    {"reverse_kl", [](const Values& x, const DpoConfig&) { return x; }},
    {"forward_kl", [](const Values& x, const DpoConfig&) { return -expm1(-x); }},
    {"js_divergence",
     [](const Values& x, const DpoConfig&) { return std::log(2.0) + log_sigmoid(x); }},
    {"alpha_divergence",
     [](const Values& x, const DpoConfig& c) {
       const double less = c.f_alpha_divergence_coef - 1;
       return std::abs(less) < 1e-6 ? x : expm1(less * x) / less;
     }},
};

void DpoConfig::visit(Visitor& v) {
  v.choice("loss", loss, names_of(kLosses), "the loss of a pair");
  v.field("beta", beta, "how strongly the model is held to the reference (τ of ipo)", above(0));
  v.field("label_smoothing", label_smoothing,
          "share of pairs whose labels are taken to be the wrong way round", between(0, 0.5));
  v.field(
      "nll_weight", nll_weight,
      "weight of the chosen answers' mean negative log-likelihood, which is added (RPO: Pang et "
      "al. 2024, arXiv:2404.19733)",
      at_least(0));
  v.field("ld_alpha", ld_alpha,
          "weight of the tokens by which an answer is longer than the other (LD-DPO: Liu et al. "
          "2024, arXiv:2409.06411); unset: 1",
          between(0, 1));
  v.choice("f_divergence_type", f_divergence_type, names_of(kTransforms),
           "divergence to the reference that is bounded (f-DPO)");
  v.field("f_alpha_divergence_coef", f_alpha_divergence_coef, "α of alpha_divergence");
  v.field("use_weighting", use_weighting,
          "weigh pairs by how likely the model itself would give them (WPO: Zhou et al. 2024, "
          "arXiv:2406.11827)");
  v.field("discopop_tau", discopop_tau, "temperature τ of discopop", above(0));
  v.field(
      "reference", reference,
      "folder of the model to stay near; default: the starting weights, with an adapter the base");
}

class Dpo : public AnswerObjective {
 public:
  explicit Dpo(const DpoConfig& config)
      : config_(config),
        loss_(find_in(std::span(kLosses), "objective.loss", config.loss).loss),
        transform_(
            find_in(std::span(kTransforms), "objective.f_divergence_type", config.f_divergence_type)
                .of) {}

  AnswerNeeds needs() const override {
    return {.kind = ExampleKind::kPair,
            .reference = true,
            .policy = {.collision = config_.use_weighting}};
  }

  AnswerLoss loss(const LossInput& in) const override {
    const Pair pair = pair_of(in);
    Values each = loss_(pair, config_);
    if (config_.use_weighting) each = each * weights(in);
    AnswerLoss result{.loss = mean(each) * in.share(), .metrics = {}};
    if (config_.nll_weight > 0) {
      const Values nll = chosen_nll(in);
      result.loss = result.loss + config_.nll_weight * nll;
      result.metrics.push_back(measured_nll(in, nll));
    }
    add_reward_metrics(config_.beta * pair.chosen, config_.beta * pair.rejected, result.metrics);
    return result;
  }

 private:
  Pair pair_of(const LossInput& in) const {
    const Values lengths = answer_lengths(in.batch);
    const Values policy = sums(weighted(in.logps, in.batch), in.batch.scored);
    const Values reference = sums(weighted(Values(in.reference), in.batch), in.batch.scored);
    const Values ratio = policy - reference;
    Pair p;
    p.chosen = chosen_of(ratio);
    p.rejected = rejected_of(ratio);
    p.chosen_score = transform_(p.chosen, config_);
    p.rejected_score = transform_(p.rejected, config_);
    p.chosen_length = chosen_of(lengths);
    p.rejected_length = rejected_of(lengths);
    p.policy = chosen_of(policy) - rejected_of(policy);
    p.reference = chosen_of(reference) - rejected_of(reference);
    return p;
  }

  // With ld_alpha, tokens behind the length of the shorter answer count that much.
  Values weighted(const Values& x, const AnswerBatch& batch) const {
    if (!config_.ld_alpha) return x;
    std::vector<double> weights;
    const auto pairs = static_cast<int64_t>(batch.examples.size());
    for (int64_t s = 0; s < batch.sequences(); ++s) {
      const int64_t other = s < pairs ? s + pairs : s - pairs;
      for (int64_t i = 0; i < batch.scored.length(s); ++i)
        weights.push_back(i < batch.scored.length(other) ? 1.0 : *config_.ld_alpha);
    }
    return x * Values(std::move(weights));
  }

  // e^(mean of log p − log Σ p²) of both answers, without a gradient.
  static Values weights(const LossInput& in) {
    const Values aligned = in.logps.detached() - Values(in.policy.collision);
    const Values each = exp(sums(aligned, in.batch.scored) / answer_lengths(in.batch));
    return chosen_of(each) * rejected_of(each);
  }

  const DpoConfig config_;
  const PairLoss loss_;
  const Transform transform_;
};

}  // namespace

Objective dpo_objective() {
  return answer_objective<Dpo, DpoConfig>(
      {.name = "dpo",
       .summary = "direct preference optimisation on pairs of a chosen and a rejected answer",
       .source = "Rafailov et al. 2023, arXiv:2305.18290"});
}

}  // namespace lathe
