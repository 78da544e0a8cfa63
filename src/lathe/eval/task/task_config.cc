#include "lathe/eval/task/task_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/config/literal.h"
#include "lathe/config/read_write.h"
#include "lathe/config/recipe_file.h"
#include "lathe/eval/score/scorer.h"
#include "lathe/io/mapped_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostTaskBytes = size_t{4} << 20;

// Takes a table out of the tree.
template <class S>
void read_table(Json& tree, const char* key, S& value, const std::string& where) {
  if (!tree.contains(key)) return;
  read_config(value, tree.at(key), fmt::format("{}: {}", where, key));
  tree.erase(key);
}

// And a list of tables.
template <class S>
void read_tables(Json& tree, const char* key, const char* keys, std::vector<S>& all,
                 const std::string& where) {
  if (!tree.contains(key)) return;
  require(tree[key].is_array(), ErrorKind::kConfig, where,
          "{} is {}, expected a list of tables {{{}}}", key, tree[key].type_name(), keys);
  for (const Json& each : tree[key])
    read_config(all.emplace_back(), each, fmt::format("{}: {}[{}]", where, key, all.size() - 1));
  tree.erase(key);
}

void read_difficulties(Json& tree, TaskConfig& config, const std::string& where) {
  if (!tree.contains("difficulty") || !tree["difficulty"].is_object()) return;
  for (const auto& [name, source] : tree["difficulty"].items()) {
    require(source.is_string() && !name.empty(), ErrorKind::kConfig, where,
            "difficulty.{} is {}, expected a template of a number", name, source.dump());
    config.difficulties.push_back({name, source.get<std::string>()});
  }
  require(config.difficulties.size() == 1 || config.difficulties.size() == 2, ErrorKind::kConfig,
          where, "difficulty has {} templates; scores are shown by one or two of them",
          config.difficulties.size());
  tree.erase("difficulty");
}

void check_joins(const TaskConfig& c, const std::string& where) {
  for (const RowJoin& join : c.join)
    require(join.on.has_value() != join.as.has_value(), ErrorKind::kConfig, where,
            "join of '{}' has {}; it takes 'on', a field that both rows have, or 'as', the name of "
            "a field for the file's text",
            join.file, join.on ? "both 'on' and 'as'" : "neither 'on' nor 'as'");
}

void check_kind(const TaskConfig& c, const Json& tree, const std::string& where) {
  const TaskKindRule& rule = find_in(task_kinds(), fmt::format("{}: kind", where), c.kind);
  for (const std::string& key : rule.needs)
    require(tree.contains(key), ErrorKind::kConfig, where,
            "{} is missing, which a task of kind '{}' needs", key, c.kind);
  for (const std::string& key : rule.useless)
    require(!tree.contains(key), ErrorKind::kConfig, where,
            "{} means nothing to a task of kind '{}'; leave it out", key, c.kind);
}

// "pass@8" is "pass@K".
std::string name_of_metric(const std::string& metric) {
  constexpr std::string_view kPass = "pass@";
  int64_t samples = 0;
  if (metric.starts_with(kPass) && parse_number(metric.substr(kPass.size()), samples) &&
      samples > 0)
    return "pass@K";
  return metric;
}

void check_metrics(const TaskConfig& c, const std::string& where) {
  require(!c.metrics.empty(), ErrorKind::kConfig, where, "metrics is empty; name what is measured");
  const std::vector<std::string>& known =
      c.scorer ? find_in(scorers(), fmt::format("{}: scorer", where), *c.scorer).metrics
               : find_in(task_kinds(), "kind", c.kind).metrics;
  for (const std::string& metric : c.metrics)
    if (std::ranges::find(known, name_of_metric(metric)) == known.end())
      fail_unknown_name(ErrorKind::kConfig,
                        fmt::format("{}: metrics{}", where,
                                    c.scorer ? fmt::format(" of scorer '{}'", *c.scorer) : ""),
                        metric, known);
}

// Keys that some scorers alone have a use for.
void check_scorer(const TaskConfig& c, const Json& tree, const std::string& where) {
  const bool runs_programs =
      c.scorer && find_in(scorers(), fmt::format("{}: scorer", where), *c.scorer).runs_programs;
  for (const char* key : {"program", "limits"})
    require(runs_programs || !tree.contains(key), ErrorKind::kConfig, where,
            "{} means something to scorer = \"python\" alone; set that, or leave {} out", key, key);
  for (const char* key : {"filters", "normalize"})
    require(
        !c.scorer || !tree.contains(key), ErrorKind::kConfig, where,
        "{} is of the comparison with the target, and scorer '{}' compares nothing with it; leave "
        "one of the two out",
        key, *c.scorer);
  require(!runs_programs || c.program, ErrorKind::kConfig, where,
          "program is missing, which scorer '{}' needs: the template of what is run, with the "
          "answer as {{{{response}}}}",
          *c.scorer);
  require(
      c.limits.mebibytes().has_value(), ErrorKind::kConfig, where,
      "limits.memory is '{}', expected a number of MiB or GiB, as 512M or 2G, from 32M to 1024G",
      c.limits.memory);
}

void check_judge(const TaskConfig& c, const std::string& file) {
  const bool asks =
      c.scorer && find_in(scorers(), fmt::format("{}: scorer", file), *c.scorer).asks_judge;
  require(asks || !c.judge, ErrorKind::kConfig, file,
          "judge means something to scorer = \"judge\" alone; set that, or leave judge out");
  if (!asks) return;
  require(c.judge.has_value(), ErrorKind::kConfig, file,
          "has no table [judge], which scorer '{}' needs: what the judge is asked, and how its "
          "verdict is read",
          *c.scorer);
  c.judge->check(file + ": judge");
  for (const std::string& metric : c.metrics)
    require(metric == "no_verdict" || (metric == "rating") == c.judge->rating.has_value(),
            ErrorKind::kConfig, file, "metrics has '{}', which a judge with '{}' does not give; {}",
            metric, c.judge->rating ? "rating" : "baseline",
            c.judge->rating ? "name rating" : "name win_rate, consistency");
}

// Either one prompt and its choices, or a prompt for each choice and what follows them all.
void check_choices(const TaskConfig& c, const std::string& where) {
  if (c.task_kind() != TaskKind::kChoices) {
    require(c.prompt.size() <= 1, ErrorKind::kConfig, where,
            "prompt is a list, which only a task of choices has");
    return;
  }
  const bool one_prompt = !c.choices.empty() && c.prompt.size() == 1;
  const bool prompt_each = c.choices.empty() && c.prompt.size() > 1 && c.target;
  require(
      one_prompt || prompt_each, ErrorKind::kConfig, where,
      "a task of choices has one prompt and choices, or a list of prompts, one for each choice, "
      "and the target that follows them; here are {} prompts, {} choices and {} target",
      c.prompt.size(), c.choices.empty() ? "no" : "some", c.target ? "a" : "no");
}

}  // namespace

const std::vector<TaskKindRule>& task_kinds() {
  static const std::vector<TaskKindRule> kKinds = {
      {"choices",
       "the likelier of some continuations",
       TaskKind::kChoices,
       {"gold"},
       {"stop", "samples", "temperature", "max_tokens", "filters", "normalize", "scorer", "program",
        "limits", "judge", "think_end"},
       {"acc", "acc_norm", "acc_bytes", "acc_tokens", "acc_uncond", "bits_per_byte"}},
      {"loglikelihood",
       "the log-likelihood of one continuation",
       TaskKind::kLoglikelihood,
       {"prompt", "target"},
       {"choices", "gold", "stop", "samples", "temperature", "max_tokens", "filters", "normalize",
        "scorer", "program", "limits", "judge", "think_end"},
       {"acc", "perplexity", "bits_per_byte"}},
      {"perplexity",
       "the log-likelihood of a whole text",
       TaskKind::kPerplexity,
       {"target"},
       {"prompt", "choices", "gold", "shots_from", "stop", "samples", "temperature", "max_tokens",
        "filters", "normalize", "scorer", "program", "limits", "judge", "think_end"},
       {"word_perplexity", "byte_perplexity", "bits_per_byte"}},
      {"generate",
       "what the model writes",
       TaskKind::kGenerate,
       {"prompt"},
       {"choices", "gold", "uncond_prompt"},
       {"exact_match", "majority", "pass@K"}},
  };
  return kKinds;
}

void AnswerFilter::visit(Visitor& v) {
  v.field("name", name, "in the metric's name", required());
  v.field("regex", regex, "what is looked for; the first group that matched is the answer",
          required());
  v.choice("which", which, {"first", "last"}, "which of several places");
}

void RowJoin::visit(Visitor& v) {
  v.field("file", file, "another file; {field} in its name is that of the row", required());
  v.field("on", on,
          "a field of both: the rest of the fields of its row with the same value is added");
  v.field("as", as, "name of a field that gets the file's whole text");
}

void CodeLimits::visit(Visitor& v) {
  v.field("seconds", seconds, "time of one program", between(0.01, 86400));
  v.field("memory", memory, "memory of one program, as 512M or 2G");
}

std::optional<int64_t> CodeLimits::mebibytes() const {
  int64_t number = 0;
  if (memory.empty() ||
      !parse_number(std::string_view(memory).substr(0, memory.size() - 1), number))
    return std::nullopt;
  constexpr int64_t kLeast = 32, kMost = 1 << 20;  // MiB
  if (number < 1 || number > kMost) return std::nullopt;
  if (memory.back() == 'G') number *= 1024;
  if ((memory.back() != 'M' && memory.back() != 'G') || number < kLeast || number > kMost)
    return std::nullopt;
  return number;
}

void TaskConfig::visit(Visitor& v) {
  v.field("name", name, "name of the task", required());
  v.choice("kind", kind, names_of(task_kinds()), "what is asked of the model", required());
  v.field("data", data,
          "rows: JSON lines, JSON or CSV, packed or not; relative to this file. {field} in the "
          "file's name: all files that match, in order of their names; what it stands for is a "
          "field of their rows",
          required());
  v.field("records", records,
          "the field of the file's one object that has the rows, if it is not them itself");
  v.field("shots_from", shots_from, "rows for shots; without it those of data");
  v.choice("shots_order", shots_order, {"first", "seeded"},
           "which rows are shots: the first, or drawn for each item");
  v.field("shots_group", shots_group,
          "template; shots of an item are only rows for which it gives the same");
  v.field("macros", macros, "Jinja's macro and set blocks, which all templates can use");
  v.field("prompt", prompt, "template, or one for each choice");
  v.field("choices", choices, "templates of the choices, or one that gives a list");
  v.field(
      "permute", permute,
      "field of the rows, a list of choices, whose elements stand in an order that the seed draws "
      "for each item; gold is the number before that");
  v.field("gold", gold, "template that gives the number of the right choice, from 0");
  v.field("target", target, "template of the right answer");
  v.field("delimiter", delimiter, "between prompt and answer");
  v.field("separator", separator, "behind each shot");
  v.field("description", description, "before everything");
  v.field("shot_prompt", shot_prompt, "template of a shot, if it is another");
  v.field("shot_target", shot_target, "template of a shot's answer, if it is another");
  v.field("uncond_prompt", uncond_prompt, "what choices follow for acc_uncond");
  v.field("metrics", metrics, "what is measured", required());
  v.field("normalize", normalize, "expressions that are removed before answers are compared");
  v.field(
      "think_end", think_end,
      "what ends a model's thoughts, such as </think>: only what follows the last one is judged");
  v.field("stop", stop, "texts that end an answer");
  v.field("max_tokens", max_tokens, "longest answer", at_least(1));
  v.field("samples", samples, "answers to each item", at_least(1));
  v.field("temperature", temperature, "0: the likeliest token", at_least(0));
  v.choice("scorer", scorer, names_of(scorers()), "what judges answers, if not a comparison");
  v.field("program", program,
          "with scorer = \"python\": template of the program, with the answer as response");
  v.field("group", group, "template; items with the same value are one cluster");
  v.field("questions", questions,
          "what the rows ask, where tasks ask the same in several forms: their scores are drawn "
          "together by `lathe eval runs`");
  v.field("chance", chance, "number, or template that gives it: how often a guess is right");
  v.field(
      "difficulty", difficulty,
      "template of a number, such as a size or a depth, by which scores are shown, too; or a table "
      "of one or two of them: {words = \"{{size}}\", depth = \"{{depth}}\"}");
  v.field("rows", rows, "how many rows there should be; another number is a warning", at_least(1));
  v.field("source", source, "where the questions come from");
  v.field("license", license, "of the data");
  v.field("get", get, "how to get the data; an error says it when a file is missing");
}

TaskKind TaskConfig::task_kind() const { return find_in(task_kinds(), "kind", kind).kind; }

std::filesystem::path TaskConfig::data_path() const { return folder / data; }

std::filesystem::path TaskConfig::shots_path() const {
  return shots_from ? folder / *shots_from : data_path();
}

TaskConfig parse_task_config(std::string text, const std::string& name,
                             const std::filesystem::path& folder) {
  Json tree = parse_toml(text, name);
  if (tree.contains("chance") && tree["chance"].is_number()) tree["chance"] = tree["chance"].dump();
  const Json whole = tree;
  TaskConfig config;
  config.file = name;
  config.folder = folder;
  config.text = std::move(text);
  read_tables(tree, "filters", "name, regex, which", config.filters, name);
  read_tables(tree, "join", "file, on or as", config.join, name);
  read_table(tree, "limits", config.limits, name);
  if (tree.contains("judge")) read_table(tree, "judge", config.judge.emplace(), name);
  read_difficulties(tree, config, name);
  read_config(config, tree, name);
  if (config.difficulty) config.difficulties = {{"", *config.difficulty}};
  check_kind(config, whole, name);
  check_choices(config, name);
  check_metrics(config, name);
  check_scorer(config, whole, name);
  check_judge(config, name);
  check_joins(config, name);
  return config;
}

TaskConfig read_task_config(const std::filesystem::path& file) {
  return parse_task_config(read_file(file, kMostTaskBytes), file.string(), file.parent_path());
}

}  // namespace lathe
