#include "lathe/eval/task/task_config.h"

#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/config/read_write.h"
#include "lathe/config/recipe_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct KindRule {
  std::string_view name;
  TaskKind kind;
  std::vector<std::string_view> needs, useless;  // keys
};

const std::vector<KindRule>& kinds() {
  static const std::vector<KindRule> kKinds = {
      {"choices",
       TaskKind::kChoices,
       {"gold"},
       {"stop", "samples", "temperature", "max_tokens", "filters"}},
      {"loglikelihood",
       TaskKind::kLoglikelihood,
       {"prompt", "target"},
       {"choices", "gold", "stop", "samples", "temperature", "max_tokens", "filters"}},
      {"perplexity",
       TaskKind::kPerplexity,
       {"target"},
       {"prompt", "choices", "gold", "shots_from", "stop", "samples", "temperature", "max_tokens",
        "filters"}},
      {"generate", TaskKind::kGenerate, {"prompt"}, {"choices", "gold", "uncond_prompt"}},
  };
  return kKinds;
}

// Takes a table out of the tree.
template <class S>
void read_table(Json& tree, const char* key, S& value, const std::string& where) {
  if (!tree.contains(key)) return;
  read_config(value, tree.at(key), fmt::format("{}: {}", where, key));
  tree.erase(key);
}

void read_filters(Json& tree, std::vector<AnswerFilter>& filters, const std::string& where) {
  if (!tree.contains("filters")) return;
  require(tree["filters"].is_array(), ErrorKind::kConfig, where,
          "filters is {}, expected a list of tables {{name, regex, which}}",
          tree["filters"].type_name());
  for (const Json& each : tree["filters"])
    read_config(filters.emplace_back(), each,
                fmt::format("{}: filters[{}]", where, filters.size() - 1));
  tree.erase("filters");
}

void check_kind(const TaskConfig& c, const Json& tree, const std::string& where) {
  const KindRule& rule = find_in(kinds(), fmt::format("{}: kind", where), c.kind);
  for (const std::string_view key : rule.needs)
    require(tree.contains(key), ErrorKind::kConfig, where,
            "{} is missing, which a task of kind '{}' needs", key, c.kind);
  for (const std::string_view key : rule.useless)
    require(!tree.contains(key), ErrorKind::kConfig, where,
            "{} means nothing to a task of kind '{}'; leave it out", key, c.kind);
}

// Either one prompt and its choices, or a prompt for each choice and what follows them all.
void check_choices(const TaskConfig& c, const std::string& where) {
  if (c.task_kind() != TaskKind::kChoices) {
    require(c.prompt.size() <= 1, ErrorKind::kConfig, where,
            "prompt is a list, which only a task of choices has");
    return;
  }
  require(c.choices.empty() != c.prompt.empty() || !c.choices.empty(), ErrorKind::kConfig, where,
          "prompt and choices are missing, which a task of choices needs");
  require(
      c.choices.empty() ? c.target.has_value() : c.prompt.size() == 1, ErrorKind::kConfig, where,
      "there is {}; write one prompt and choices, or a prompt for each choice and the target that follows them",
      c.choices.empty() ? "a prompt, but neither choices nor a target"
                        : "more than one prompt beside choices");
}

}  // namespace

void AnswerFilter::visit(Visitor& v) {
  v.field("name", name, "in the metric's name", required());
  v.field("regex", regex, "what is looked for; the first group that matched is the answer",
          required());
  v.choice("which", which, {"first", "last"}, "which of several places");
}

void CodeLimits::visit(Visitor& v) {
  v.field("seconds", seconds, "time of one program", above(0));
  v.field("memory", memory, "memory of one program, as 512M");
}

void TaskConfig::visit(Visitor& v) {
  v.field("name", name, "name of the task", required());
  v.choice("kind", kind, names_of(kinds()), "what is asked of the model", required());
  v.field("data", data, "rows: JSON lines, JSON or CSV, packed or not; relative to this file",
          required());
  v.field("shots_from", shots_from, "rows for shots; without it those of data");
  v.choice("shots_order", shots_order, {"first", "seeded"},
           "which rows are shots: the first, or drawn for each item");
  v.field("prompt", prompt, "template, or one for each choice");
  v.field("choices", choices, "templates of the choices, or one that gives a list");
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
  v.field("stop", stop, "texts that end an answer");
  v.field("max_tokens", max_tokens, "longest answer", at_least(1));
  v.field("samples", samples, "answers to each item", at_least(1));
  v.field("temperature", temperature, "0: the likeliest token", at_least(0));
  v.choice("scorer", scorer, {"ifeval", "tool_call", "python", "judge"},
           "what judges answers, if not a comparison");
  v.field("program", program,
          "with scorer = \"python\": template of the program, with the answer as response");
  v.field("group", group, "template; items with the same value are one cluster");
}

TaskKind TaskConfig::task_kind() const { return find_in(kinds(), "kind", kind).kind; }

std::filesystem::path TaskConfig::data_path() const { return file.parent_path() / data; }

std::filesystem::path TaskConfig::shots_path() const {
  return shots_from ? file.parent_path() / *shots_from : data_path();
}

TaskConfig read_task_config(const std::filesystem::path& file) {
  const std::string where = file.string();
  const Json whole = load_recipe(file);
  Json tree = whole;
  TaskConfig config;
  config.file = file;
  read_filters(tree, config.filters, where);
  read_table(tree, "limits", config.limits, where);
  read_config(config, tree, where);
  check_kind(config, whole, where);
  check_choices(config, where);
  return config;
}

}  // namespace lathe
