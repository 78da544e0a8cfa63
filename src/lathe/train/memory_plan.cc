#include "lathe/train/memory_plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lathe/base/process.h"
#include "lathe/kernels/dry_run.h"
#include "lathe/train/example/example_file.h"
#include "lathe/train/objective/answer_objective.h"
#include "lathe/train/objective/rollout_config.h"
#include "lathe/train/objectives.h"
#include "lathe/train/train_loop.h"
#include "lathe/train/training_state.h"

namespace lathe {
namespace {

constexpr std::string_view kEvaluation = "tasks of [eval]";

// The parts of tensors' memory that a dry run met, the largest first.
std::vector<MemoryPart> parts_of(const HostAllocator& allocator) {
  std::vector<MemoryPart> parts;
  for (const auto& [label, bytes] : allocator.peak_by_label())
    if (bytes > 0)
      parts.push_back(
          {label.empty() ? "activations" : std::string(label), static_cast<int64_t>(bytes)});
  std::ranges::stable_sort(parts, std::greater(), &MemoryPart::bytes);
  const auto kept = static_cast<int64_t>(allocator.peak_touched() - allocator.peak_bytes());
  parts.push_back({"kept for later", kept});
  return parts;
}

Answer answer_of(int64_t tokens, int32_t id) {
  const auto count = static_cast<size_t>(tokens);
  return {.ids = std::vector<int32_t>(count, id), .trained = std::vector<uint8_t>(count, 1)};
}

// Two that differ, of a pair.
Example longest_example(ExampleKind kind, int64_t prompt, int64_t answer) {
  Example example;
  example.place = "plan:1";
  example.prompt = answer_of(prompt, 0).ids;
  example.row = R"({"prompt": "?"})";
  if (kind == ExampleKind::kLabelled) example.label = true;
  if (kind == ExampleKind::kPrompt) return example;
  example.answers.push_back(answer_of(answer, 0));
  if (kind == ExampleKind::kPair || kind == ExampleKind::kRanking)
    example.answers.push_back(answer_of(answer, 1));
  if (kind == ExampleKind::kSteps) example.step_labels.assign(static_cast<size_t>(answer), 1);
  return example;
}

// What measuring tasks takes beyond what the steps leave to it.
int64_t evaluation_bytes(TrainLoop& loop, InRunEvaluation& tasks, const kernels::DryRun& dry) {
  const size_t before = dry.allocator().peak_touched();
  loop.measure(tasks);
  return static_cast<int64_t>(dry.allocator().peak_touched() - before);
}

}  // namespace

int64_t MemoryPlan::bytes_of(std::string_view name) const {
  int64_t bytes = 0;
  for (const MemoryPart& part : parts) bytes += part.name == name ? part.bytes : 0;
  return bytes;
}

int64_t MemoryPlan::total() const {
  return std::accumulate(parts.begin(), parts.end(), int64_t{0},
                         [](int64_t sum, const MemoryPart& part) { return sum + part.bytes; });
}

MemoryPlan plan_memory(Recipe recipe, const ReadExamples& read_examples, int64_t steps) {
  if (recipe
          .learns_rollouts()) {  // no command is started, and rows need not have what functions read
    RewardConfig reward;
    reward.functions = {"ended"};
    reward.model = recipe.reward.model;
    recipe.reward = std::move(reward);
  }
  recipe.train.spike_skip = 1e9;  // losses of zeros may be infinite
  TrainCallbacks callbacks;
  callbacks.read_examples = read_examples;
  MemoryPlan plan;
  std::unique_ptr<InRunEvaluation> tasks;  // whose texts are data
  if (!recipe.eval.tasks.empty())
    tasks = std::make_unique<InRunEvaluation>(recipe.eval, recipe.tokenizer(), Log());
  {
    const kernels::DryRun dry;
    {
      TrainLoop loop(recipe, callbacks, {});
      const int64_t count = std::min(steps, loop.recipe().train.steps);
      for (int64_t step = 1; step <= count; ++step) loop.step(step);
      plan.parts = parts_of(dry.allocator());
      if (tasks)
        plan.parts.push_back({std::string(kEvaluation), evaluation_bytes(loop, *tasks, dry)});
    }
  }
  // The small blocks of the dry run were real, and are in the parts above.
  return_freed_memory();
  plan.parts.push_back({"program and data", resident_bytes()});
  return plan;
}

std::vector<MemoryPart> memory_taken() {
  const HostAllocator& allocator = host_allocator();
  std::vector<MemoryPart> parts = parts_of(allocator);
  parts.push_back(
      {"program and data", peak_resident_bytes() - static_cast<int64_t>(allocator.peak_touched())});
  return parts;
}

ReadExamples longest_examples(const Recipe& recipe) {
  const auto objective = make_answer_objective(recipe.objective, recipe.model);
  const RolloutConfig* rollouts = objective->rollouts();
  const int64_t drawn = rollouts != nullptr ? rollouts->max_completion_length : 0;
  return [drawn](const std::vector<std::string>&, const ExampleOptions& options, const Log&) {
    const int64_t most = options.seq_len, answer = drawn > 0 ? drawn : most / 2;
    const int64_t prompt = options.encoder ? most : std::max<int64_t>(1, most - answer);
    auto set = std::make_shared<ExampleSet>();
    set->examples.push_back(longest_example(options.kind, prompt, options.encoder ? most : answer));
    set->rows = 1;
    return std::shared_ptr<const ExampleSet>(std::move(set));
  };
}

namespace {

// Changes of a recipe that take ever less memory than `plan`, its own: first those that give the same steps.
std::vector<std::vector<std::string>> smaller_recipes(const Recipe& recipe,
                                                      const MemoryPlan& plan) {
  constexpr int64_t kShortest = 128;
  const TrainConfig& t = recipe.train;
  std::vector<std::vector<std::string>> all;
  std::vector<std::string> changes;
  for (int64_t size = t.batch_size, more = t.grad_accumulation; size % 2 == 0;) {
    changes = {fmt::format("train.batch_size={}", size /= 2),
               fmt::format("train.grad_accumulation={}", more *= 2)};
    all.push_back(changes);
  }
  if (t.recompute != "full") {
    changes.push_back("train.recompute=full");
    all.push_back(changes);
  }
  if (!recipe.optim.paged && plan.bytes_of(kOptimizerState) > plan.total() / 20) {
    changes.push_back("optim.paged=true");
    all.push_back(changes);
  }
  for (int64_t length = t.seq_len / 2; length >= kShortest; length /= 2) {
    all.push_back(changes);
    all.back().push_back(fmt::format("train.seq_len={}", length));
  }
  return all;
}

}  // namespace

MemoryFitting fit_memory(const nlohmann::ordered_json& tree, int64_t bytes,
                         const std::function<void()>& before_each) {
  const auto plan_of = [&](const std::vector<std::string>& changes) {
    if (before_each) before_each();
    const Recipe recipe = read_recipe(tree, changes);
    return plan_memory(recipe, longest_examples(recipe), 1);
  };
  MemoryFitting result = {.unchanged = plan_of({}), .fit = std::nullopt};
  if (result.unchanged.total() <= bytes) {
    result.fit = MemoryFit{{}, result.unchanged};
    return result;
  }
  for (std::vector<std::string>& changes : smaller_recipes(read_recipe(tree), result.unchanged)) {
    MemoryPlan plan = plan_of(changes);
    if (plan.total() > bytes) continue;
    result.fit = MemoryFit{std::move(changes), std::move(plan)};
    break;
  }
  return result;
}

}  // namespace lathe
