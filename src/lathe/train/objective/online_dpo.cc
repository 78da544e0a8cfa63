// Online DPO (Guo et al. 2024, arXiv:2402.04792): the policy answers, the reward judges, and of each group the best and
// the worst answer are a pair. With Δ the difference of their log-ratios log π/π_ref, summed over tokens, the loss is the
// mean over groups of
//   sigmoid  −log σ(βΔ)          ipo  (Δ − 1/(2β))²
// A group whose answers are all worth the same has no pair and counts 0.
#include <algorithm>
#include <map>

#include "lathe/base/error.h"
#include "lathe/train/objective/objective_entry.h"
#include "lathe/train/objective/pairs.h"
#include "lathe/train/objective/rollouts.h"

namespace lathe {
namespace {

struct OnlineDpoConfig {
  RolloutConfig rollouts;
  double beta = 0.1;
  std::string loss = "sigmoid";
  std::optional<std::string> reference;

  OnlineDpoConfig() { rollouts.num_generations = 2; }
  void visit(Visitor& v) {
    rollouts.visit(v);
    v.choice("loss", loss, {"sigmoid", "ipo"}, "what a pair costs");
    v.field("beta", beta, "how much a deviation from the reference counts", above(0));
    v.field(
        "reference", reference,
        "folder of the model to stay near; default: the starting weights, with an adapter the base");
  }
  void check(const RowShape&, const KeyErrors& keys) const {
    rollouts.check(keys);
    if (rollouts.num_generations < 2)
      keys.refuse("num_generations", "a pair needs two answers to a prompt; use at least 2");
  }
  std::map<std::string, std::string> models() const {
    return {{"reference", reference.value_or("")}};
  }
};

// The best and the worst sequence of each group that has both, the earlier of equal ones.
struct BestAndWorst {
  std::vector<int64_t> best, worst;
};
BestAndWorst pairs_of(const AnswerBatch& batch) {
  std::map<int64_t, std::pair<int64_t, int64_t>> of_group;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const Example& example = batch.example_of(s);
    auto& [best, worst] = of_group.try_emplace(example.group, s, s).first->second;
    if (example.reward > batch.example_of(best).reward) best = s;
    if (example.reward < batch.example_of(worst).reward) worst = s;
  }
  BestAndWorst pairs;
  for (const auto& [group, pair] : of_group) {
    if (pair.first == pair.second) continue;
    pairs.best.push_back(pair.first);
    pairs.worst.push_back(pair.second);
  }
  return pairs;
}

class OnlineDpo : public AnswerObjective {
 public:
  explicit OnlineDpo(const OnlineDpoConfig& config) : c_(config) {}

  AnswerNeeds needs() const override {
    return {.kind = ExampleKind::kRollout,
            .reference = true,
            .whole_groups = true,
            .policy = {.temperature = c_.rollouts.temperature, .entropy = true}};
  }

  const RolloutConfig* rollouts() const override { return &c_.rollouts; }

  // 1 for the chosen answer, −1 for the rejected one, 0 for others: what the loss makes of them.
  std::vector<Advantages> advantages(const std::vector<RolloutBatch>& step) const override {
    groups_of(step, 2);
    std::map<int64_t, const RolloutBatch*> home;
    std::vector<Advantages> all;
    for (const RolloutBatch& micro : step) {
      for (const Example* each : micro.batch->examples)
        require(
            home.try_emplace(each->group, &micro).first->second == &micro, ErrorKind::kData,
            each->place,
            "the answers of group {} stand in two micro-batches, but a pair is compared within one; make "
            "train.batch_size a multiple of objective.num_generations",
            each->group);
      std::vector<double> sign(static_cast<size_t>(micro.batch->sequences()), 0);
      const BestAndWorst pairs = pairs_of(*micro.batch);
      for (const int64_t s : pairs.best) sign[static_cast<size_t>(s)] = 1;
      for (const int64_t s : pairs.worst) sign[static_cast<size_t>(s)] = -1;
      all.push_back({.advantages = at_tokens(sign, micro.batch->scored)});
    }
    return all;
  }

  AnswerLoss loss(const LossInput& in) const override {
    const Values ratio = sums(in.logps - Values(in.reference), in.batch.scored);
    BestAndWorst pairs = pairs_of(in.batch);
    const auto count = static_cast<double>(pairs.best.size());
    const double groups =
        static_cast<double>(in.step.sequences) / static_cast<double>(c_.rollouts.num_generations);
    AnswerLoss result{.loss = 0.0 * sum(in.logps), .metrics = {measured("entropy", in.entropy)}};
    if (pairs.best.empty()) return result;
    double margin = 0;
    for (size_t i = 0; i < pairs.best.size(); ++i)
      margin +=
          in.batch.example_of(pairs.best[i]).reward - in.batch.example_of(pairs.worst[i]).reward;
    const Values chosen = take(ratio, std::move(pairs.best));
    const Values rejected = take(ratio, std::move(pairs.worst));
    const Values difference = chosen - rejected;
    const Values each = c_.loss == "ipo" ? square(difference - 1 / (2 * c_.beta))
                                         : -log_sigmoid(c_.beta * difference);
    result.loss = sum(each) / groups;
    add_reward_metrics(c_.beta * chosen, c_.beta * rejected, result.metrics);
    result.metrics.push_back({"objective/scores_margin", margin, count});
    result.metrics.push_back({"kl", sum(ratio).item(), static_cast<double>(in.batch.sequences())});
    return result;
  }

 private:
  const OnlineDpoConfig c_;
};

}  // namespace

Objective online_dpo_objective() {
  return answer_objective<OnlineDpo, OnlineDpoConfig>(
      {.name = "online_dpo",
       .summary = "preference between the model's own answers, judged by rewards",
       .source = "Guo et al. 2024, arXiv:2402.04792"});
}

}  // namespace lathe
