// lathe rollouts: what a policy answered, and what it got for it.

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/lab/answer_comparison.h"
#include "lathe/lab/rollout_log.h"
#include "lathe/lab/run_data.h"
#include "lathe/text/tokenizer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct RolloutsOptions {
  std::string run;
  std::optional<int64_t> step, group, best, worst, against_step;
  std::optional<std::string> against, part;
  bool held_out = false;

  void visit(Visitor& v) {
    v.positional("run", run, "folder of a reinforcement run");
    v.field("held_out", held_out, "the answers to the prompts of data.valid, at each validation");
    v.field("step", step, "show the answers of this step", at_least(0));
    v.field("group", group, "show only those to this prompt of a step", at_least(0));
    v.field("best", best, "show the answers with the highest rewards, so many", at_least(1));
    v.field("worst", worst, "show those with the lowest", at_least(1));
    v.field(
        "against", against,
        "compare the last answers to held-out prompts (or those of --step) with another run's, prompt by "
        "prompt");
    v.field("against_step", against_step,
            "compare with this step of it; 0 is before the first (default: its last)", at_least(0));
    v.field("part", part, "compare by this part of the reward (default: by all of it)");
  }
  bool selects() const { return step || group || best || worst; }
  RolloutKind kind() const { return held_out ? RolloutKind::kHeldOut : RolloutKind::kLearnt; }
};

// The tokenizer that the run read its prompts with; nullopt if it is gone.
std::optional<Tokenizer> tokenizer_of(const RunData& run) {
  std::vector<std::string> folders = {(run.folder / "model").string()};
  for (const char* key : {"/data/tokenizer", "/model/from"}) {
    const Json::json_pointer place(key);
    if (run.recipe.is_object() && run.recipe.contains(place) && run.recipe[place].is_string())
      folders.push_back(run.recipe[place].get<std::string>());
  }
  for (const std::string& folder : folders)
    if (has_tokenizer(folder)) return load_tokenizer(folder);
  return std::nullopt;
}

std::string prompt_of(const Json& line, const std::optional<Tokenizer>& tokenizer) {
  const auto ids = line.value("prompt_ids", std::vector<int32_t>());
  if (!tokenizer) return Json(ids).dump();
  return tokenizer->decode(ids);
}

Json json_of(const RolloutStep& s) {
  return {{"step", s.step},     {"rollouts", s.rollouts},     {"groups", s.groups},
          {"reward", s.reward}, {"reward_std", s.reward_std}, {"best", s.best},
          {"length", s.length}, {"rewards", s.parts},         {"filtered", s.filtered},
          {"failed", s.failed}};
}

Json flags_json(const RunData& run) {
  Json flags = Json::array();
  for (const RolloutFlag& flag : run.flags)
    flags.push_back({{"name", flag.name}, {"finding", flag.finding}, {"advice", flag.advice}});
  return flags;
}

std::string indented(const std::string& text) {
  std::string out = "    ";
  for (const char c : text) out += c == '\n' ? std::string("\n    ") : std::string(1, c);
  return out;
}

std::string text_of(const Json& line, const std::optional<Tokenizer>& tokenizer) {
  std::string parts;
  const Json rewards = line.value("rewards", Json::object());
  for (const auto& [name, value] : rewards.items())
    parts += fmt::format("{}{} {:.4g}", parts.empty() ? " (" : ", ", name, value.get<double>());
  std::string marks;
  for (const char* mark : {"failed", "filtered"})
    if (line.value(mark, false)) marks += std::string(", ") + mark;
  if (!line.value("ended", true)) marks += ", cut";
  const std::string advantage =
      line.contains("advantage")
          ? fmt::format(", advantage {:.4g}", line.at("advantage").get<double>())
          : "";
  return fmt::format(
      "step {}, group {}: reward {:.4g}{}{}{}, {} tokens{}\n  prompt\n{}\n  answer\n{}\n\n",
      line.at("step").get<int64_t>(), line.at("group").get<int64_t>(),
      line.at("reward").get<double>(), parts, parts.empty() ? "" : ")", advantage,
      line.value("completion_ids", Json::array()).size(), marks,
      indented(prompt_of(line, tokenizer)),
      indented(line.value("transcript", line.value("completion", std::string()))));
}

void show_steps(const RunData& run, RolloutKind kind, CommandContext& context) {
  const std::vector<RolloutStep> steps = rollout_steps(run.folder, kind);
  if (context.json) {
    Json list = Json::array();
    for (const RolloutStep& s : steps) list.push_back(json_of(s));
    return context.print_json({{"steps", list}, {"flags", flags_json(run)}});
  }
  context.out << fmt::format("{:>7}  {:>8}  {:>6}  {:>9}  {:>9}  {:>9}  {:>8}  {:>8}  {:>6}\n",
                             "step", "rollouts", "groups", "reward", "deviation", "best", "length",
                             "filtered", "failed");
  for (const RolloutStep& s : steps)
    context.out << fmt::format(
        "{:>7}  {:>8}  {:>6}  {:>9.4f}  {:>9.4f}  {:>9.4f}  {:>8.1f}  {:>8}  {:>6}\n", s.step,
        s.rollouts, s.groups, s.reward, s.reward_std, s.best, s.length, s.filtered, s.failed);
  for (const RolloutFlag& flag : run.flags)
    context.out << fmt::format("\n{}: {}\n  {}\n", flag.name, flag.finding, flag.advice);
}

std::string name_of(const std::string& run, int64_t step) {
  return fmt::format("{}, step {}", run, step);
}

Json json_of(const AnswerComparison::Side& side) {
  return {{"step", side.step}, {"reward", side.reward}, {"length", side.length}};
}

void compare(const RolloutsOptions& o, CommandContext& context) {
  const AnswerComparison c = compare_answers({o.run, o.step}, {*o.against, o.against_step}, o.part);
  if (context.json)
    return context.print_json({{"first", json_of(c.first)},
                               {"second", json_of(c.second)},
                               {"prompts", c.prompts},
                               {"wins", c.wins},
                               {"ties", c.ties},
                               {"losses", c.losses},
                               {"win_rate", c.win_rate},
                               {"stderr", c.error},
                               {"length_controlled_win_rate", c.length_controlled}});
  const std::string first = name_of(o.run, c.first.step),
                    second = name_of(*o.against, c.second.step);
  const size_t width = std::max(first.size(), second.size());
  context.out << fmt::format("{:{}}  {:>9}  {:>8}\n", "", width, "reward", "length");
  for (const auto& [name, side] : {std::pair(first, c.first), std::pair(second, c.second)})
    context.out << fmt::format("{:{}}  {:>9.4f}  {:>8.1f}\n", name, width, side.reward,
                               side.length);
  context.out << fmt::format(
      "\n{} prompts: won {:.1f} %, equal {:.1f} %, lost {:.1f} %\n"
      "win rate {:.3f} (standard error {:.3f}), at equal lengths {:.3f}\n",
      c.prompts, 100 * c.wins, 100 * c.ties, 100 * c.losses, c.win_rate, c.error,
      c.length_controlled);
}

void check_options(const RolloutsOptions& o) {
  require(o.against || (!o.against_step && !o.part), ErrorKind::kUsage,
          o.part ? "--part" : "--against-step",
          "nothing is compared; name a run with --against, or leave it out");
  require(
      !o.against || (!o.held_out && !o.group && !o.best && !o.worst), ErrorKind::kUsage,
      "--against",
      "compares all answers of a step to held-out prompts; leave --held-out, --group, --best and "
      "--worst out");
  require(!o.best || !o.worst, ErrorKind::kUsage, "--worst",
          "the best and the worst answers are two lists; ask for one of them");
}

int run_rollouts(const RolloutsOptions& o, CommandContext& context) {
  check_options(o);
  if (o.against) {
    compare(o, context);
    return 0;
  }
  const RunData run = read_run(o.run);
  if (!o.selects()) {
    show_steps(run, o.kind(), context);
    return 0;
  }
  std::vector<Json> lines = find_rollouts(
      run.folder,
      {.kind = o.kind(), .step = o.step, .group = o.group, .best = o.best, .worst = o.worst});
  const std::optional<Tokenizer> tokenizer = tokenizer_of(run);
  if (context.json) {
    for (Json& line : lines) line["prompt"] = prompt_of(line, tokenizer);
    context.print_json({{"rollouts", lines}});
    return 0;
  }
  for (const Json& line : lines) context.out << text_of(line, tokenizer);
  return 0;
}

}  // namespace

Command rollouts_command() {
  return make_command<RolloutsOptions>(
      {.name = "rollouts",
       .summary = "browse the answers of a reinforcement run and their rewards",
       .help =
           "Without an option: its steps, and what looks wrong (docs/alignment.md). Otherwise the answers\n"
           "themselves, with the parts of their rewards before weights. --against compares answers to held-out\n"
           "prompts: how often those of this run have the higher reward, and how often they would if both were\n"
           "equally long.\n\n"
           "  lathe rollouts runs/grpo\n"
           "  lathe rollouts runs/grpo --step 40 --group 3\n"
           "  lathe rollouts runs/grpo --worst 5\n"
           "  lathe rollouts runs/ppo --against runs/ppo --against-step 0\n"
           "  lathe rollouts runs/ppo --against runs/grpo --part model\n"},
      run_rollouts);
}

}  // namespace lathe
