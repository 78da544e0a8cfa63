#include "lathe/cli/commands/demo/stages.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <sstream>

#include "lathe/base/parallel.h"
#include "lathe/base/strings.h"
#include "lathe/chat/continue_text.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/demo/load.h"
#include "lathe/cli/commands/demo/plan.h"
#include "lathe/cli/commands/demo/text.h"
#include "lathe/cli/commands/train/train_display.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/cli/frame/parse.h"
#include "lathe/config/json_text.h"
#include "lathe/config/recipe_file.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/manifest.h"
#include "lathe/kernels/machine.h"
#include "lathe/lab/run_data.h"
#include "lathe/model/load_model.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

// The part of the time that is planned for: machines are sometimes busier than when they were
// measured, and one that is busy already changes more.
constexpr double kPlanned = 0.8, kPlannedWhenBusy = 0.65;
constexpr double kForWriting = 0.04;
constexpr int64_t kVocabulary = 4096;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Demo {
  const DemoOptions& options;
  CommandContext& context;
  DemoState& state;
};

// Runs another command as if it had been typed, and returns what it prints with --json.
Json run_command(const Demo& d, const Command& command, const std::string& name,
                 const std::vector<std::string>& arguments) {
  std::string shown = "lathe " + name;
  for (const std::string& a : arguments)
    shown += a.find_first_of(" <|") == std::string::npos ? " " + a : " '" + a + "'";
  d.context.log.info("      $ {}", shown);
  BoundCommand bound = command.bind();
  const ParsedLine parsed = parse_arguments(command, bound, arguments, name);
  std::ostringstream out;
  CommandContext inner{.name = name,
                       .arguments = {"lathe", name},
                       .overrides = parsed.overrides,
                       .given = parsed.given,
                       .json = true,
                       .out = out,
                       .log = d.context.log,
                       .progress = d.context.progress};
  inner.arguments.insert(inner.arguments.end(), arguments.begin(), arguments.end());
  bound.run(inner);
  return parse_json(out.str(), name);
}

std::string text_stage(const Demo& d) {
  const DemoText text = read_demo_text(d.options.text);
  write_corpus(text, d.state.path("corpus.txt"));
  d.state["source"] = text.source;
  d.state["bytes"] = text.bytes;
  d.state["openings"] = text.openings;
  return fmt::format("{} in {} documents from {}, cleaned into {}",
                     human_bytes(static_cast<double>(text.bytes)), text.documents.size(),
                     text.source, d.state.path("corpus.txt"));
}

std::string tokenizer_stage(const Demo& d) {
  // Small texts get fewer tokens: each should be seen often enough to learn what it means.
  const int64_t wanted =
      std::clamp<int64_t>(d.state["bytes"].get<int64_t>() / 200, 512, kVocabulary);
  const Command group = tokenizer_command();
  const auto train =
      std::ranges::find(group.children, "train", [](const Command& c) { return c.text.name; });
  const Json r =
      run_command(d, *train, "tokenizer train",
                  {d.state.path("corpus.txt"), "--vocab-size", std::to_string(wanted),
                   "--special-token", std::string(kEndOfText), "--out", d.state.path("tokenizer")});
  d.state["vocab_size"] = r.at("vocab_size");
  return fmt::format("byte-level BPE, {} tokens, from {} distinct words",
                     r.at("vocab_size").get<int64_t>(), r.at("distinct_words").get<int64_t>());
}

std::string shard_stage(const Demo& d) {
  const bool small = d.state["bytes"].get<int64_t>() < 1 << 20;
  const Json r = run_command(d, shard_command(), "shard",
                             {d.state.path("corpus.txt"), "--tokenizer", d.state.path("tokenizer"),
                              "--out", d.state.path("data"), "--split", "separator", "--separator",
                              std::string(kEndOfText), "--val-fraction", small ? "0.1" : "0.05"});
  d.state["train_tokens"] = r.at("tokens");
  d.state["valid_tokens"] = r.at("valid").at("tokens");
  return fmt::format("{} tokens to learn from, {} held back for validation, {:.2f} bytes a token",
                     human_count(r.at("tokens").get<double>()),
                     human_count(r.at("valid").at("tokens").get<double>()),
                     r.at("bytes_per_token").get<double>());
}

// Says so in one line when the machine seems busy. Returns the part of the time to plan for.
double part_to_plan(const Demo& d, const MachineLoad& load) {
  const auto reason = why_busy(load);
  if (!reason) return kPlanned;
  d.state["machine"]["busy"] = *reason;
  d.context.log.warn(
      "the machine seems busy: {}; the plan keeps {:.0f} % of the time in reserve and the model "
      "is smaller than it could be",
      *reason, 100 * (1 - kPlannedWhenBusy));
  return kPlannedWhenBusy;
}

void measure_machine(const Demo& d, const MachineLoad& load, std::string& precision) {
  const double f32 = load.best * 1e-9, bf16 = kernels::measure_matrix_rate(DType::kBF16) * 1e-9;
  precision = precision_name(bf16 > 1.2 * f32 ? DType::kBF16 : DType::kF32);
  const Manifest machine = new_manifest("demo", "");
  d.state["machine"] = {
      {"processor", machine.cpu},
      {"threads", thread_count()},
      {"kernels", std::string(kernels::cpu_kernels().level)},
      {"matrix products, fp32", fmt::format("{:.0f} GFLOP/s", f32)},
      {"matrix products, bf16", fmt::format("{:.0f} GFLOP/s", bf16)},
      {"memory, reading", fmt::format("{:.1f} GB/s", kernels::measure_read_bandwidth() * 1e-9)}};
  d.context.log.info(
      "      this machine multiplies matrices at {:.0f} GFLOP/s in fp32, {:.0f} in bf16: "
      "training in {}",
      f32, bf16, precision);
}

std::string plan_stage(const Demo& d) {
  DemoLimits limits;
  const auto start = Clock::now();
  const MachineLoad load = measure_load();
  measure_machine(d, load, limits.precision);
  const double part = part_to_plan(d, load) - kForWriting;
  const double spent = d.state.seconds_so_far() + seconds_since(start);
  limits.seconds = std::max(1.0, part * 60 * d.options.minutes - spent);
  limits.vocab_size = d.state["vocab_size"].get<int64_t>();
  limits.train_tokens = d.state["train_tokens"].get<int64_t>();
  limits.valid_tokens = d.state["valid_tokens"].get<int64_t>();
  DataConfig data;
  data.train = {d.state.path("data")};
  data.valid = {d.state.path("data-valid")};
  data.tokenizer = d.state.path("tokenizer");
  DemoPlan plan = plan_demo(limits, data,
                            [&](const std::string& line) { d.context.log.info("      {}", line); });
  plan.recipe.train.out = d.state.folder().string();
  plan.recipe.train.sample_prompt = d.state["openings"][0].get<std::string>();
  write_file_atomically(d.state.folder() / "recipe.toml", demo_recipe_toml(plan.recipe));
  d.state["parameters"] = plan.parameters;
  d.state["steps"] = plan.recipe.train.steps;
  return fmt::format("{} parameters, {} steps of {} tokens, as {} says",
                     human_count(static_cast<double>(plan.parameters)), plan.recipe.train.steps,
                     plan.recipe.train.batch_size * plan.recipe.train.seq_len,
                     d.state.path("recipe.toml"));
}

std::string training_stage(const Demo& d) {
  d.context.log.info("      $ lathe train {}", d.state.path("recipe.toml"));
  const Recipe recipe = read_recipe(load_recipe(d.state.folder() / "recipe.toml"));
  TrainDisplay display(recipe, d.context);
  TrainLoop loop(recipe, display.callbacks(), display.facts());
  display.announce(loop);
  loop.run(TrainLoop::Start::kResume);
  display.finish(loop);
  const RunData run = read_run(d.state.folder());
  const ValidationPoint& first = run.validations.front();
  const ValidationPoint& last = run.validations.back();
  d.state["val_loss"] = last.loss;
  if (std::isfinite(last.bits_per_byte)) d.state["val_bits_per_byte"] = last.bits_per_byte;
  return fmt::format("validation loss {:.2f} after {:.0f} steps, {:.2f} at the end{}", first.loss,
                     first.step, last.loss,
                     std::isfinite(last.bits_per_byte)
                         ? fmt::format(" ({:.2f} bits a byte)", last.bits_per_byte)
                         : "");
}

Json write_text(const Demo& d, Transformer& model, const Tokenizer& tokenizer,
                const std::string& prompt, const GenerationConfig& config,
                const std::string& setting) {
  const std::string text = continue_text(model, tokenizer, prompt, config, throw_if_interrupted);
  d.context.log.info("      {}:\n        {}{}", setting, prompt, text);
  return {{"setting", setting}, {"prompt", prompt}, {"text", text}};
}

std::string writing_stage(const Demo& d) {
  const auto model = load_model(d.state.folder() / "model", {});
  const Tokenizer tokenizer = load_tokenizer(d.state.path("tokenizer"));
  const auto openings = d.state["openings"].get<std::vector<std::string>>();
  const std::vector<std::pair<std::string, GenerationConfig>> settings = {
      {"greedy: --temperature 0", {.max_new_tokens = 70, .temperature = 0}},
      {"--temperature 0.8 --top-p 0.95",
       {.max_new_tokens = 70, .temperature = 0.8, .top_p = 0.95, .seed = 1}},
      {"--temperature 1.0 --min-p 0.05",
       {.max_new_tokens = 70, .temperature = 1.0, .min_p = 0.05, .seed = 2}},
      {"--temperature 0.7 --dry-multiplier 0.8",
       {.max_new_tokens = 70, .temperature = 0.7, .dry_multiplier = 0.8, .seed = 3}},
  };
  d.state["generations"] = Json::array();
  for (size_t i = 0; i < settings.size(); ++i)
    d.state["generations"].push_back(write_text(d, *model, tokenizer, openings[i % openings.size()],
                                                settings[i].second, settings[i].first));
  return fmt::format("{} texts with different sampling", settings.size());
}

}  // namespace

std::vector<DemoStage> demo_stages(const DemoOptions& options, CommandContext& context,
                                   DemoState& state) {
  const Demo demo{options, context, state};
  const auto stage = [&](const char* name, std::string (*work)(const Demo&)) {
    return DemoStage{name, [demo, work] { return work(demo); }};
  };
  return {stage("text", text_stage),         stage("tokenizer", tokenizer_stage),
          stage("shards", shard_stage),      stage("plan", plan_stage),
          stage("training", training_stage), stage("writing", writing_stage)};
}

}  // namespace lathe
