// A reward model: a model with one score for each text (num_labels = 1, at its last token), trained on
// answers from the best to the worst, K of them for a prompt. A pair has two.
//
//   pairs           the mean over the K(K − 1)/2 pairs of a prompt of
//                     −log σ(s_better − s_worse − m) + k·(s_better + s_worse)²
//                   (Bradley & Terry 1952; Stiennon et al. 2020, arXiv:2009.01325; of rankings: Ouyang et al. 2022,
//                   arXiv:2203.02155, whose pairs of a prompt stay in one batch, as they do here)
//   plackett_luce   −log of the ranking's probability, the product over places i but the last of
//                     exp(s_i) / Σ_{j ≥ i} exp(s_j)      (Plackett 1975; Luce 1959)
//                   and the same second term
//
// with s the scores, m the margin of a row (Touvron et al. 2023, arXiv:2307.09288) and k =
// center_rewards_coefficient (Eisenstein et al. 2023, arXiv:2312.09244). The loss is the mean over prompts. For
// pairs both are one and the same.
#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/train/objective/objective_entry.h"

namespace lathe {
namespace {

struct RewardConfig {
  std::string loss = "pairs";
  std::optional<double> center_rewards_coefficient;
  void visit(Visitor& v) {
    v.choice("loss", loss, {"pairs", "plackett_luce"},
             "of rankings of more than two answers. pairs: mean over the pairs of a prompt; "
             "plackett_luce: the likelihood of the whole order");
    v.field("center_rewards_coefficient", center_rewards_coefficient,
            "weight that pulls the sum of two answers' scores to 0; unset: none", at_least(0));
  }
};

// All pairs of answers to one prompt.
struct RankedPairs {
  std::vector<int64_t> better, worse;  // sequences
  std::vector<double> weights;         // such that the sum over all is the mean over prompts
  std::vector<double> margins;
};

// The sequences of each example, from the best answer to the worst.
std::vector<std::vector<int64_t>> rankings_of(const AnswerBatch& batch) {
  std::vector<std::vector<int64_t>> rankings(batch.examples.size());
  for (size_t s = 0; s < batch.places.size(); ++s)
    rankings[batch.places[s].example].push_back(static_cast<int64_t>(s));
  return rankings;
}

RankedPairs pairs_of(const AnswerBatch& batch) {
  RankedPairs pairs;
  const auto rankings = rankings_of(batch);
  for (size_t e = 0; e < rankings.size(); ++e) {
    const std::vector<int64_t>& ranking = rankings[e];
    const double count = static_cast<double>(ranking.size() * (ranking.size() - 1)) / 2;
    for (size_t j = 1; j < ranking.size(); ++j)
      for (size_t i = 0; i < j; ++i) {
        pairs.better.push_back(ranking[i]);
        pairs.worse.push_back(ranking[j]);
        pairs.weights.push_back(1 / (count * static_cast<double>(rankings.size())));
        pairs.margins.push_back(batch.examples[e]->margin.value_or(0));
      }
  }
  return pairs;
}

// Of all rankings, summed.
Values plackett_luce(const AnswerBatch& batch, const Values& scores) {
  std::vector<int64_t> first, rest, lengths;  // of each place, and what is left from it on
  for (const std::vector<int64_t>& ranking : rankings_of(batch))
    for (size_t i = 0; i + 1 < ranking.size(); ++i) {
      first.push_back(ranking[i]);
      rest.insert(rest.end(), ranking.begin() + static_cast<std::ptrdiff_t>(i), ranking.end());
      lengths.push_back(std::ssize(ranking) - static_cast<int64_t>(i));
    }
  const Runs runs(lengths);
  const Values left = take(scores, rest), chosen = take(scores, first);
  std::vector<double> most;  // so that no exp overflows
  for (int64_t r = 0; r < runs.count(); ++r) {
    const auto begin = left.numbers().begin() + runs.first(r);
    most.push_back(*std::max_element(begin, begin + runs.length(r)));
  }
  const Values shift(most);
  return sum(log(sums(exp(left - spread(shift, runs)), runs)) + shift - chosen);
}

class Reward : public AnswerObjective {
 public:
  explicit Reward(const RewardConfig& config) : config_(config) {}

  AnswerNeeds needs() const override { return {.kind = ExampleKind::kRanking, .scores = true}; }

  AnswerLoss loss(const LossInput& in) const override {
    const RankedPairs pairs = pairs_of(in.batch);
    const Values better = take(in.scores, pairs.better), worse = take(in.scores, pairs.worse);
    const Values weights(pairs.weights);
    Values loss = ranking_loss(in, pairs, better, worse);
    if (config_.center_rewards_coefficient)
      loss = loss + *config_.center_rewards_coefficient * sum(square(better + worse) * weights);
    double right = 0;
    for (size_t i = 0; i < better.size(); ++i) right += better[i] > worse[i] ? 1 : 0;
    const auto [least, most] = std::ranges::minmax(in.scores.numbers());
    return {.loss = loss * in.share(),
            .metrics = {{"accuracy", right, static_cast<double>(better.size())},
                        measured("margin", better - worse),
                        measured("mean_reward", in.scores),
                        measured_mean("min_reward", least, in.share()),
                        measured_mean("max_reward", most, in.share())}};
  }

 private:
  // The mean over the prompts of the micro-batch.
  Values ranking_loss(const LossInput& in, const RankedPairs& pairs, const Values& better,
                      const Values& worse) const {
    if (config_.loss == "pairs")
      return -sum(log_sigmoid(better - worse - Values(pairs.margins)) * Values(pairs.weights));
    for (const Example* example : in.batch.examples)
      require(
          !example->margin, ErrorKind::kData, example->place,
          "a margin is between two answers, and objective.loss = \"plackett_luce\" has a likelihood of "
          "the whole order; leave the margins out, or use \"pairs\"");
    return plackett_luce(in.batch, in.scores) / static_cast<double>(in.batch.examples.size());
  }

  const RewardConfig config_;
};

}  // namespace

Objective reward_objective() {
  return answer_objective<Reward, RewardConfig>(
      {.name = "reward",
       .summary = "a reward model from answers ranked from the best to the worst, two or more",
       .source = "Stiennon et al. 2020, arXiv:2009.01325; Ouyang et al. 2022, arXiv:2203.02155"});
}

}  // namespace lathe
