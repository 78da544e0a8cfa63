// Losses, derivatives, metrics and advantages of every objective over answers, from numbers without a model.
// Goldens: tools/make_objective_goldens.py.

#include <cmath>
#include <fstream>

#include "lathe/base/catalogue.h"
#include "lathe/config/read_write.h"
#include "lathe/train/objective/answer_objective.h"
#include "lathe/train/objectives.h"
#include "nlohmann/json.hpp"
#include "paths.h"
#include "train/run.h"

namespace lathe::testing {
namespace {

using Numbers = std::vector<double>;

struct Goldens {
  Json inputs, cases;
};
const Goldens& goldens() {
  static const Goldens all = [] {
    std::ifstream file(tests_folder() / "train/goldens/objectives.json");
    const Json json = Json::parse(file);
    return Goldens{json.at("inputs"), json.at("cases")};
  }();
  return all;
}

std::unique_ptr<AnswerObjective> make_objective(const Json& section) {
  ObjectiveConfig config;
  read_config(config, section, "objective");
  const Objective& entry = find_in(objectives(), "objective.name", *config.name);
  return entry.answers(config.components.of(entry.name));
}

// The examples that an input describes: their tokens are of no matter.
std::vector<Example> examples_of(const Json& input, ExampleKind kind) {
  const Json& lengths = input.at("lengths");
  const size_t each = kind == ExampleKind::kPair || kind == ExampleKind::kRanking ? 2 : 1,
               count = lengths.size() / each;
  std::vector<Example> examples(count);
  size_t steps = 0;  // before the example's
  for (size_t i = 0; i < count; ++i) {
    Example& example = examples[i];
    example.place = fmt::format("rows:{}", i + 1);
    example.prompt.assign(input.at("prompts").at(i).get<size_t>(), 3);
    for (size_t a = 0; a < each; ++a) {
      const auto length = lengths.at(a * count + i).get<size_t>();
      example.answers.push_back(
          {.ids = std::vector<int32_t>(length, 4), .trained = std::vector<uint8_t>(length, 1)});
    }
    if (input.contains("step_labels")) {
      const auto first = input.at("step_labels").begin() + static_cast<std::ptrdiff_t>(steps);
      steps += example.answers[0].ids.size();
      example.step_labels.assign(first, first + std::ssize(example.answers[0].ids));
    }
    if (input.contains("labels")) example.label = input.at("labels").at(i) == 1;
    if (input.contains("margins")) example.margin = input.at("margins").at(i).get<double>();
    if (!input.contains("rewards")) continue;
    example.reward = input.at("rewards").at(i).get<double>();
    example.group = input.at("groups").at(i).get<int64_t>();
  }
  return examples;
}

Numbers numbers(const Json& input, const char* name) {
  return input.contains(name) ? input.at(name).get<Numbers>() : Numbers();
}

// A step of several micro-batches, each of some of the examples, and what comes of it.
class Step {
 public:
  Step(const Json& section, const Json& input)
      : objective_(make_objective(section)),
        needs_(objective_->needs()),
        input_(input),
        examples_(examples_of(input, needs_.kind)) {}

  // [first, last) of each micro-batch.
  void run(const std::vector<std::pair<size_t, size_t>>& micro_batches) {
    std::vector<AnswerBatch> batches;
    for (const auto& [first, last] : micro_batches) {
      std::vector<const Example*> some;
      for (size_t i = first; i < last; ++i) some.push_back(&examples_[i]);
      batches.push_back(
          make_answer_batch(some, {.score_prompts = needs_.score_prompts, .whole = needs_.scores}));
    }
    for (const AnswerBatch& batch : batches) {
      counts_.examples += std::ssize(batch.examples);
      counts_.sequences += batch.sequences();
      counts_.tokens += batch.tokens();
      counts_.first_tokens += batch.scored.first(std::ssize(batch.examples));
    }
    std::vector<Advantages> all(batches.size());
    if (needs_.kind == ExampleKind::kRollout) all = objective_->advantages(rollouts(batches));
    for (size_t m = 0; m < batches.size(); ++m) add(batches[m], all[m]);
  }

  double loss() const { return loss_; }
  const std::map<std::string, Numbers>& gradients() const { return gradients_; }
  const Numbers& advantages() const { return advantages_; }
  const Numbers& returns() const { return returns_; }
  double metric(const std::string& name) const {
    const auto found = metrics_.find(name);
    return found == metrics_.end() ? NAN : found->second.first / found->second.second;
  }

 private:
  // Of a list for all examples in order, what one micro-batch has.
  Numbers part(const char* name, const AnswerBatch& batch) const {
    const Numbers all = numbers(input_, name);
    if (all.empty() || batch.examples.size() == examples_.size()) return all;
    const auto from = static_cast<size_t>(batch.examples[0] - examples_.data());
    size_t first = 0;
    for (size_t i = 0; i < from; ++i) first += examples_[i].answers[0].ids.size();
    return {all.begin() + static_cast<std::ptrdiff_t>(first),
            all.begin() + static_cast<std::ptrdiff_t>(first) + batch.tokens()};
  }

  Numbers old_logps(const AnswerBatch& batch) const {
    const bool recorded = input_.contains("old_logps");
    if (!recorded && !needs_.old_logps) return {};
    return part(recorded ? "old_logps" : "logps", batch);
  }

  std::vector<RolloutBatch> rollouts(const std::vector<AnswerBatch>& batches) const {
    std::vector<RolloutBatch> all;
    for (const AnswerBatch& batch : batches)
      all.push_back({.batch = &batch,
                     .old_logps = old_logps(batch),
                     .reference = part("reference", batch),
                     .old_values = part("old_values", batch)});
    return all;
  }

  void add(const AnswerBatch& batch, const Advantages& advantages) {
    ValueTape tape;
    TokenScores scores{.logps = part("logps", batch),
                       .entropy = part("entropy", batch),
                       .collision = part("collision", batch),
                       .is_best = {}};
    for (const double best : part("best", batch)) scores.is_best.push_back(best != 0);
    LossInput in{.batch = batch,
                 .step = counts_,
                 .policy = scores,
                 .reference = part("reference", batch),
                 .crossed = numbers(input_, "crossed"),
                 .crossed_reference = numbers(input_, "crossed_reference"),
                 .old_logps = old_logps(batch),
                 .old_values = part("old_values", batch),
                 .advantages = advantages};
    std::map<std::string, Values> leaves = {{"logps", {}}};
    for (const char* name : {"logps", "entropy", "divergence", "values", "scores"})
      leaves[name] = tape.leaf(part(name, batch));
    in.logps = leaves["logps"];
    in.entropy = leaves["entropy"];
    in.divergence = leaves["divergence"];
    in.values = leaves["values"];
    in.scores = leaves["scores"];
    const AnswerLoss result = objective_->loss(in);
    tape.backward(result.loss);
    loss_ += result.loss.item();
    for (const auto& [name, leaf] : leaves) append(tape.gradient(leaf), gradients_[name]);
    append(advantages.advantages, advantages_);
    append(advantages.returns, returns_);
    for (const Measured& each : result.metrics) {
      metrics_[each.name].first += each.sum;
      metrics_[each.name].second += each.weight;
    }
  }

  static void append(const Numbers& more, Numbers& all) {
    all.insert(all.end(), more.begin(), more.end());
  }

  const std::unique_ptr<AnswerObjective> objective_;
  const AnswerNeeds needs_;
  const Json& input_;
  const std::vector<Example> examples_;
  StepCounts counts_;
  double loss_ = 0;
  std::map<std::string, Numbers> gradients_;
  std::map<std::string, std::pair<double, double>> metrics_;
  Numbers advantages_, returns_;
};

void expect_near(const Numbers& got, const Numbers& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(got[i], want[i], tolerance * std::max(1.0, std::abs(want[i]))) << "number " << i;
}

class ObjectiveGolden : public ::testing::TestWithParam<size_t> {
 protected:
  const Json& golden() const { return goldens().cases.at(GetParam()); }
  const Json& input() const { return goldens().inputs.at(golden().at("input")); }
};

// Of fractions of tokens the goldens have single precision.
constexpr double kTight = 1e-9, kFraction = 1e-7;

TEST_P(ObjectiveGolden, HasItsLossDerivativesAndMetrics) {
  Step step(golden().at("objective"), input());
  step.run({{0, input().at("prompts").size()}});
  EXPECT_NEAR(step.loss(), golden().at("loss").get<double>(), kTight);
  for (const char* name : {"logps", "entropy", "divergence", "values", "scores"}) {
    SCOPED_TRACE(name);
    if (!input().contains(name)) continue;
    Numbers want = numbers(golden().at("gradients"), name);
    want.resize(input().at(name).size());  // no gradient: zeros
    expect_near(step.gradients().at(name), want, kTight);
  }
  for (const auto& [name, value] : golden().at("metrics").items())
    EXPECT_NEAR(step.metric(name), value.get<double>(), kFraction) << name;
  expect_near(step.advantages(), numbers(golden(), "advantages"), kTight);
  expect_near(step.returns(), numbers(golden(), "returns"), kTight);
}

// Cases of groups whose step is a mean over its micro-batches. What looks at the entropies of its own micro-batch
// cannot be one, nor what needs whole groups.
std::vector<size_t> sums_over_micro_batches() {
  std::vector<size_t> some;
  for (size_t i = 0; i < goldens().cases.size(); ++i) {
    const Json& golden = goldens().cases.at(i);
    const Json& objective = golden.at("objective");
    const bool by_batch = objective.value("top_entropy_quantile", 1.0) < 1 ||
                          objective.value("entropy_coef", 0.0) > 0;
    if (goldens().inputs.at(golden.at("input")).contains("groups") && !by_batch &&
        objective.at("name") != "online_dpo")
      some.push_back(i);
  }
  return some;
}

class MicroBatches : public ObjectiveGolden {};

// The first rollouts alone and the rest.
TEST_P(MicroBatches, AddUp) {
  const Json& objective = golden().at("objective");
  const size_t count = input().at("prompts").size();
  Step step(objective, input());
  step.run({{0, 1}, {1, count}});
  EXPECT_NEAR(step.loss(), golden().at("loss").get<double>(), kTight);
  expect_near(step.gradients().at("logps"), numbers(golden().at("gradients"), "logps"), kTight);
  expect_near(step.advantages(), numbers(golden(), "advantages"), kTight);
  for (const auto& [name, value] : golden().at("metrics").items())
    EXPECT_NEAR(step.metric(name), value.get<double>(), kFraction) << name;
}

std::string case_name(size_t index) {
  const Json& golden = goldens().cases.at(index);
  std::string name;
  for (const char c :
       fmt::format("{}_{}_{}", index, golden.at("objective").at("name").get<std::string>(),
                   golden.at("objective").value("loss", std::string("default"))))
    name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(, MicroBatches, ::testing::ValuesIn(sums_over_micro_batches()),
                         [](const auto& each) { return case_name(each.param); });
INSTANTIATE_TEST_SUITE_P(, ObjectiveGolden,
                         ::testing::Range(size_t{0}, size_t{goldens().cases.size()}),
                         [](const auto& each) { return case_name(each.param); });

// Every objective of the catalogue, and every choice of its loss, has a golden.
TEST(ObjectiveGoldens, AreComplete) {
  const auto has = [](const std::string& name, const std::string& loss) {
    return std::ranges::any_of(goldens().cases, [&](const Json& golden) {
      const Json& o = golden.at("objective");
      return o.at("name") == name && (loss.empty() || o.value("loss", std::string()) == loss);
    });
  };
  for (const Objective& o : objectives())
    if (o.answers != nullptr) {
      EXPECT_TRUE(has(std::string(o.name), "")) << o.name;
    }
  for (const char* loss :
       {"sigmoid", "hinge", "ipo", "robust", "exo_pair", "nca_pair", "bco_pair", "sppo_hard", "aot",
        "aot_unpaired", "apo_zero", "apo_down", "discopop", "sigmoid_norm"})
    EXPECT_TRUE(has("dpo", loss)) << loss;
  for (const char* loss : {"grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"})
    EXPECT_TRUE(has("grpo", loss)) << loss;
}

// Answers as long as a context: no loss overflows, and derivatives stay finite.
TEST(Objectives, OfDistantModelsStayFinite) {
  for (const Json& golden : goldens().cases) {
    Json input = goldens().inputs.at(golden.at("input"));
    for (const char* name : {"logps", "reference", "old_logps", "crossed", "scores"})
      if (input.contains(name))
        for (size_t i = 0; i < input.at(name).size(); ++i)
          input[name][i] = input[name][i].get<double>() * (name[0] == 'l' ? 60 : 1);
    Step step(golden.at("objective"), input);
    step.run({{0, input.at("prompts").size()}});
    const std::string what = golden.at("objective").dump();
    // e^x of a ratio of hundreds is no double's matter: those that have it bare may be infinite.
    const bool bare = golden.at("objective").value("loss", std::string()) == "discopop" ||
                      golden.at("objective").contains("f_divergence_type") ||
                      input.contains("groups") || golden.at("objective").contains("alpha");
    if (bare) continue;
    EXPECT_TRUE(std::isfinite(step.loss())) << what;
    for (const double g : step.gradients().at("logps")) EXPECT_TRUE(std::isfinite(g)) << what;
  }
}

// Numbers of TRL's formula (multi_objective_aggregation of GRPOTrainer) in double precision, of two micro-batches.
TEST(Objectives, OfSeveralRewardsNormaliseEachInItsGroup) {
  const double parts[][2] = {{1, 0}, {0, 2}, {0.5, 1}, {1, 4}, {1, 0}, {1, -1}};
  std::vector<Example> examples(6);
  for (size_t i = 0; i < 6; ++i) {
    examples[i].place = fmt::format("rows:{}", i + 1);
    examples[i].prompt = {3};
    examples[i].answers.push_back({.ids = {4}, .trained = {1}});
    examples[i].group = i < 3 ? 7 : 8;
    examples[i].rewards = {{.value = parts[i][0], .weight = 1},
                           {.value = parts[i][1], .weight = 0.5}};
  }
  std::vector<AnswerBatch> batches;
  for (const auto& [first, last] : {std::pair<size_t, size_t>{0, 2}, {2, 6}}) {
    std::vector<const Example*> some;
    for (size_t i = first; i < last; ++i) some.push_back(&examples[i]);
    batches.push_back(make_answer_batch(some, {}));
  }
  std::vector<RolloutBatch> step(2);
  for (size_t m = 0; m < 2; ++m) step[m].batch = &batches[m];
  const auto advantages = [&] {
    const auto objective =
        make_objective({{"name", "grpo"}, {"multi_objective_aggregation", "normalize_then_sum"}});
    Numbers all;
    for (const Advantages& each : objective->advantages(step))
      all.insert(all.end(), each.advantages.begin(), each.advantages.end());
    return all;
  };
  expect_near(advantages(),
              {1.1176374629383172, -1.1176374629383172, 0, 1.267614062651296, -0.4225380208837653,
               -0.8450760417675305},
              kTight);
  examples[4].rewards.pop_back();
  EXPECT_EQ(error_text(advantages),
            "[rows:5] the row has 1 parts of a reward in 'rewards' and another one 2, but "
            "normalize_then_sum needs the same parts of all; give them, or set "
            "objective.multi_objective_aggregation = \"sum_then_normalize\"");
}

TEST(Objectives, RefuseAGroupOfOne) {
  Json input = goldens().inputs.at("rollouts");
  input["groups"] = {0, 0, 0, 4, 5};
  for (const char* name : {"grpo", "rloo", "online_dpo"})
    EXPECT_EQ(
        error_text([&] {
          Step({{"name", name}}, input).run({{0, 5}});
        }),
        "[rows:4] group 4 has 1 rollout(s), but an advantage compares at least 2 of one prompt; draw "
        "more (objective.num_generations), or give all rows of the group in one step");
}

}  // namespace
}  // namespace lathe::testing
