// Proximal policy optimisation with a critic, as InstructGPT used it (Ouyang et al. 2022, arXiv:2203.02155).
// With r_t = −c·KL_t, to which the last token adds the answer's reward, and V the critic's value of the text
// before a token when it was drawn,
//   δ_t = r_t + γV_{t+1} − V_t,  A_t = Σ (γλ)^k δ_{t+k}  (GAE, Schulman et al. 2016, arXiv:1506.02438)
//   R_t = A_t + V_t; advantages are whitened over all tokens of the step
//   loss = mean max(−ρA, −clip(ρ, 1 ± ε)A)
//        + vf_coef·½ mean max((v − R)², (clip(v, V ± ε_v) − R)²) − entropy_coef·mean entropy
// c can follow a target (KlControl), and text of pretraining can be learnt beside (PretrainingMixConfig).
#include "lathe/train/objective/objective_entry.h"
#include "lathe/train/objective/rollouts.h"

namespace lathe {
namespace {

struct PpoConfig {
  RolloutConfig rollouts;
  std::optional<std::string> critic, reference;
  double kl_coef = 0.05, cliprange = 0.2, cliprange_value = 0.2, vf_coef = 0.1;
  double gamma = 1, lam = 0.95, entropy_coef = 0;
  std::string kl_estimator = "k1";
  bool whiten_rewards = false;
  std::optional<double> target_kl, horizon;
  PretrainingMixConfig pretraining;

  void visit(Visitor& v) {
    rollouts.visit(v);
    v.field(
        "critic", critic,
        "folder of a model with one score (a sequence classifier with one label), which learns the value of "
        "each token; one that predicts tokens gets a score that begins small and random; default: the "
        "starting weights");
    v.field(
        "reference", reference,
        "folder of the model to stay near; default: the starting weights, with an adapter the base");
    v.field("kl_coef", kl_coef, "weight of the KL divergence to the reference in the reward",
            at_least(0));
    v.field(
        "target_kl", target_kl,
        "KL divergence of an answer, in nats, that kl_coef is raised or lowered towards after each step "
        "(Ziegler et al. 2019, arXiv:1909.08593); default: it stays as it is",
        above(0));
    v.field("horizon", horizon,
            "with target_kl: answers in which kl_coef changes by at most a fifth; default: 10000",
            above(0));
    visit_kl_estimator(v, kl_estimator);
    v.field("cliprange", cliprange, "how far a ratio may be from 1 before it is clipped", above(0));
    v.field("cliprange_value", cliprange_value, "the same for values, from what they were",
            above(0));
    v.field("vf_coef", vf_coef, "weight of the critic's loss", at_least(0));
    v.field("gamma", gamma, "discount γ of later rewards", between(0, 1));
    v.field("lam", lam, "λ of generalised advantage estimation", between(0, 1));
    v.field("whiten_rewards", whiten_rewards,
            "divide rewards by their standard deviation over the step");
    v.field("entropy_coef", entropy_coef, "weight of the entropy, which is rewarded", at_least(0));
    pretraining.visit(v);
  }
  void check(const RowShape&, const KeyErrors& keys) const {
    rollouts.check(keys);
    if (horizon && !target_kl)
      keys.refuse(
          "horizon",
          "without target_kl the coefficient stays kl_coef; set target_kl, or leave it out");
    if (target_kl && kl_coef == 0)
      keys.refuse("kl_coef",
                  "target_kl multiplies it after each step, and 0 stays 0; use a number above 0");
    pretraining.check(keys);
  }
  std::map<std::string, std::string> models() const {
    return {{"reference", reference.value_or("")}, {"critic", critic.value_or("")}};
  }
};

class Ppo : public AnswerObjective {
 public:
  explicit Ppo(const PpoConfig& config) : c_(config) {}

  AnswerNeeds needs() const override {
    return {.kind = ExampleKind::kRollout,
            .reference = true,
            .values = true,
            .old_logps = true,
            .policy = {.temperature = c_.rollouts.temperature, .entropy = true}};
  }

  const RolloutConfig* rollouts() const override { return &c_.rollouts; }

  std::optional<KlControl> kl_control() const override {
    if (!c_.target_kl) return std::nullopt;
    return KlControl{c_.kl_coef, *c_.target_kl, c_.horizon.value_or(10000)};
  }

  const PretrainingMixConfig* pretraining() const override {
    return c_.pretraining.ptx_coef > 0 ? &c_.pretraining : nullptr;
  }

  std::vector<Advantages> advantages(const std::vector<RolloutBatch>& step) const override {
    std::vector<Advantages> all;
    std::vector<std::vector<double>> rewards;
    for (const RolloutBatch& micro : step) {
      all.emplace_back();
      rewards.push_back(
          token_rewards(micro, c_.kl_estimator, micro.kl_coef.value_or(c_.kl_coef), all.back().kl));
    }
    if (c_.whiten_rewards) whiten(pointers(rewards), {.keep_mean = true});
    std::vector<std::vector<double>*> whitened;
    for (size_t m = 0; m < step.size(); ++m) {
      estimate(step[m], rewards[m], all[m]);
      whitened.push_back(&all[m].advantages);
    }
    whiten(whitened, {});
    return all;
  }

  AnswerLoss loss(const LossInput& in) const override {
    const auto tokens = static_cast<double>(in.step.tokens),
               own = static_cast<double>(in.batch.tokens());
    const Surrogate policy = clipped_surrogate(in, c_.cliprange);
    const Values returns(in.advantages.returns), old(in.old_values);
    const Values near =
        minimum(maximum(in.values, old - c_.cliprange_value), old + c_.cliprange_value);
    const Values value = 0.5 * maximum(square(in.values - returns), square(near - returns));
    return {.loss = sum(policy.loss + c_.vf_coef * value - c_.entropy_coef * in.entropy) / tokens,
            .metrics = {measured("policy_loss", policy.loss),
                        measured("value_loss", value),
                        {"kl", in.advantages.kl, static_cast<double>(in.batch.sequences())},
                        measured("entropy", in.entropy),
                        {"clip_ratio/region_mean", policy.clipped, own}}};
  }

 private:
  static std::vector<std::vector<double>*> pointers(std::vector<std::vector<double>>& lists) {
    std::vector<std::vector<double>*> all;
    for (auto& list : lists) all.push_back(&list);
    return all;
  }

  void estimate(const RolloutBatch& micro, const std::vector<double>& rewards,
                Advantages& out) const {
    const std::vector<double>& values = micro.old_values;
    out.advantages.resize(rewards.size());
    out.returns.resize(rewards.size());
    const Runs& runs = micro.batch->scored;
    for (int64_t s = 0; s < runs.count(); ++s) {
      double next = 0, last = 0;
      for (int64_t t = runs.first(s + 1) - 1; t >= runs.first(s); --t) {
        const auto i = static_cast<size_t>(t);
        last = rewards[i] + c_.gamma * next - values[i] + c_.gamma * c_.lam * last;
        out.advantages[i] = last;
        out.returns[i] = last + values[i];
        next = values[i];
      }
    }
  }

  const PpoConfig c_;
};

}  // namespace

Objective ppo_objective() {
  return answer_objective<Ppo, PpoConfig>(
      {.name = "ppo",
       .summary = "reinforcement with a critic that learns the value of each token",
       .source = "Schulman et al. 2017, arXiv:1707.06347; Ouyang et al. 2022, arXiv:2203.02155"});
}

}  // namespace lathe
