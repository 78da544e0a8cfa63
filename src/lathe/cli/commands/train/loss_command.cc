// `lathe loss`: the proof tool of objectives over answers. What one step computes on the first rows of
// a file: loss, metrics, log-probabilities, advantages, gradients.

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/output_paths.h"
#include "lathe/cli/commands/model/tensor_output.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/config/recipe_file.h"
#include "lathe/train/task/answer_data.h"
#include "lathe/train/task/other_models.h"
#include "lathe/train/task/trained_adapter.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct LossOptions {
  std::string model;
  std::optional<std::string> out;
  bool grads = false;
  std::optional<std::string> adapter;

  void visit(Visitor& v) {
    v.positional("model", model, "folder of a model, or a recipe (.toml or .json)");
    v.field("out", out, "safetensors file to write");
    v.field("grads", grads,
            "with --out: also write grad.<name> for every parameter, with an adapter for its own");
    v.field("adapter", adapter, "folder of an adapter, as PEFT saves it");
  }
};

Recipe recipe_of(const LossOptions& o, const CommandContext& context) {
  const bool is_recipe = o.model.ends_with(".toml") || o.model.ends_with(".json");
  Json tree = is_recipe ? load_recipe(o.model) : Json{{"model", {{"from", o.model}}}};
  tree["train"]["precision"] = "fp32";
  if (o.adapter) tree["adapter"] = {{"from", *o.adapter}};
  for (const std::string& assignment : context.overrides) apply_override(tree, assignment);
  return read_recipe(tree);
}

// Where the scored tokens of each sequence lie in tables of one line for each pack.
class Table {
 public:
  Table(const AnswerBatch& batch, const std::vector<Pack>& packs) : batch_(batch) {
    const auto examples = static_cast<int64_t>(batch.examples.size());
    int64_t line = 0;
    for (int64_t first = 0; first < batch.sequences(); first += examples)  // of each answer
      for (const Pack& pack : packs) {
        int64_t offset = 0;
        for (size_t i = 0; i < pack.size(); ++i) {
          const int64_t rows = batch.inputs.rows.sequences.length(std::ssize(line_));
          line_.push_back(line);
          offset_.push_back(offset);
          width_ = std::max(width_, offset + rows);
          offset += rows + 1;
        }
        ++line;
      }
    lines_ = line;
  }

  Tensor of(const std::vector<double>& numbers) const {
    const Tensor table = Tensor::zeros({lines_, width_}, DType::kF32);
    for (int64_t s = 0; s < batch_.sequences(); ++s)
      for (int64_t i = batch_.scored.first(s); i < batch_.scored.first(s + 1); ++i) {
        const auto at = static_cast<size_t>(i), sequence = static_cast<size_t>(s);
        if (batch_.in_answer[at] == 0) continue;
        table.data<float>()[line_[sequence] * width_ + offset_[sequence] + batch_.column[at]] =
            static_cast<float>(numbers[at]);
      }
    return table;
  }
  int64_t lines() const { return lines_; }

 private:
  const AnswerBatch& batch_;
  std::vector<int64_t> line_, offset_;
  int64_t lines_ = 0, width_ = 0;
};

Tensor vector_of(const std::vector<double>& numbers) {
  return Tensor::of<double>(numbers, {std::ssize(numbers)});
}

// What is trained, and its gradients.
struct Learner {
  Trained trained;
  ParameterGradients gradients;
};

void write(const LossOptions& o, const AnswerStepResult& result, const Table& table,
           Learner& policy, Learner& critic) {
  const AnswerStepResult::Micro& micro = result.micro_batches[0];
  TensorOutput out;
  out.add("loss", Tensor::of<double>(std::vector<double>{result.loss}, {}));
  if (!micro.policy.logps.empty()) out.add("token_logps", table.of(micro.policy.logps));
  if (!micro.scores.empty()) out.add("rewards", vector_of(micro.scores));
  if (!micro.advantages.empty()) out.add("advantages", table.of(micro.advantages));
  if (o.grads) {
    out.add_gradients("grad.", policy.trained.weights, policy.gradients);
    out.add_gradients("grad.critic.", critic.trained.weights, critic.gradients);
  }
  throw_if_interrupted();
  out.write(*o.out);
}

Json summary_of(const AnswerStepResult& result, const Table& table, const ExampleSet& set) {
  Json metrics = Json::object();
  for (const Measured& each : result.metrics)
    metrics[each.name] = each.weight > 0 ? Json(each.sum / each.weight) : Json();
  return {{"loss", result.loss},
          {"metrics", metrics},
          {"trained_tokens", result.counts.tokens},
          {"sequences", table.lines()},
          {"skipped", set.skipped}};
}

int run_loss(const LossOptions& o, CommandContext& context) {
  require(o.out || !o.grads, ErrorKind::kUsage, "--grads",
          "gradients are written to a file; add --out FILE, or leave it out");
  if (o.out) check_outputs({{"--out", *o.out}}, {{"the model", o.model}});
  const Recipe recipe = recipe_of(o, context);
  const auto objective = make_answer_objective(recipe.objective, recipe.model);
  require(
      objective->pretraining() == nullptr, ErrorKind::kConfig, "objective.ptx_coef",
      "lathe loss computes the loss of the rows of data.train alone; leave ptx_coef and ptx_data out");
  require(
      recipe.data.replay.empty(), ErrorKind::kConfig, "data.replay",
      "lathe loss computes the loss of the rows of data.train alone; leave replay and replay_share out");
  const AnswerData data(
      recipe, std::make_shared<const ExampleSet>(read_examples(
                  recipe.data.train,
                  example_options(recipe, objective->needs().kind, recipe.train.batch_size),
                  context.log, [](int64_t) { throw_if_interrupted(); })));
  throw_if_interrupted();
  Policy policy(recipe, context.log);
  const OtherModels others(recipe, policy, context.log);
  const AnswerModels models = others.all();
  Learner learner{policy.trained(), {}}, critic;
  if (models.critic != nullptr)
    critic.trained = trained_of(*models.critic, models.critic_adapter.get());
  if (o.grads)
    for (Learner* each : {&learner, &critic}) add_all(each->trained.parameters, each->gradients);
  const AnswerStepResult result =
      AnswerStep(*objective, models)
          .run({data.packs(0, data.size())}, {.before_each = throw_if_interrupted},
               o.grads ? &learner.gradients : nullptr, o.grads ? &critic.gradients : nullptr);
  const Table table(result.micro_batches[0].batch, data.all_packs());
  if (o.out) write(o, result, table, learner, critic);
  const Json summary = summary_of(result, table, data.set());
  if (context.json) {
    context.print_json(summary);
    return 0;
  }
  context.out << fmt::format("loss            {:.6f}\ntrained tokens  {}\nsequences       {}\n",
                             result.loss, result.counts.tokens, table.lines());
  for (const auto& [name, value] : summary["metrics"].items())
    context.out << fmt::format("{:<15} {}\n", name, value.is_null() ? "none" : value.dump());
  for (const auto& [why, count] : data.set().skipped)
    context.out << fmt::format("skipped         {} {}\n", count, why);
  return 0;
}

}  // namespace

Command loss_command() {
  return make_command<LossOptions>(
      {.name = "loss",
       .summary = "compute one step's loss and gradients on prompts and answers",
       .help =
           "What one step of `lathe train` computes on the first train.batch_size rows of data.train, in "
           "fp32 without\n"
           "dropout: loss, metrics, and with --out the log-probability of each trained token, advantages, "
           "rewards and\n"
           "gradients. Nothing is sampled: a row with a reward is a recorded rollout. Routers' balance "
           "losses are left out.\n\n"
           "  lathe loss runs/demo/model --data.train=chats.jsonl --objective.name=sft "
           "--train.batch_size=4\n"
           "  lathe loss model --data.train=pairs.jsonl --objective.name=dpo --objective.beta=0.2 --out "
           "loss.safetensors --grads\n",
       .takes_overrides = true},
      run_loss);
}

}  // namespace lathe
