#include "lathe/eval/task/task.h"

#include <numeric>

#include "lathe/base/error.h"
#include "lathe/config/literal.h"
#include "lathe/eval/draws.h"
#include "lathe/eval/task/data_files.h"
#include "lathe/eval/task/joins.h"
#include "lathe/eval/task/key_template.h"
#include "lathe/text/jinja/template.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

std::string text_in(const KeyTemplate& of, const TaskRows& rows, size_t row) {
  return of.rendered(rows.rows[row].fields, rows.place(row)).text;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

TaskRows rows_of(const TaskConfig& config) {
  require_data(config, config.data_path());
  TaskRows rows = read_task_rows(config.data_path(), config.records);
  join_rows(rows, config);
  return rows;
}

}  // namespace

struct EvalTask::Templates {
  std::vector<KeyTemplate> prompts, choices;
  std::optional<KeyTemplate> gold, target, shot_prompt, shot_target, description, group, uncond,
      chance, shots_group;

  explicit Templates(const TaskConfig& c) {
    require(
        jinja::Template::parse(c.macros, fmt::format("{}: macros", c.file.string())).only_defines(),
        ErrorKind::kConfig, c.file.string(),
        "macros has more than macro and set blocks; end each of them with -%}}, so that no "
        "line is between them");
    for (const std::string& each : c.prompt) prompts.emplace_back(c, "prompt", each);
    for (const std::string& each : c.choices) choices.emplace_back(c, "choices", each);
    const auto optional = [&](std::optional<KeyTemplate>& to, const char* key,
                              const std::optional<std::string>& source) {
      if (source) to.emplace(c, key, *source);
    };
    optional(gold, "gold", c.gold);
    optional(target, "target", c.target);
    optional(shot_prompt, "shot_prompt", c.shot_prompt);
    optional(shot_target, "shot_target", c.shot_target);
    optional(description, "description",
             c.description.empty() ? std::nullopt : std::optional(c.description));
    optional(group, "group", c.group);
    optional(uncond, "uncond_prompt", c.uncond_prompt);
    optional(chance, "chance", c.chance);
    optional(shots_group, "shots_group", c.shots_group);
  }
};

// One row's parts.
class EvalTask::Renderer {
 public:
  Renderer(const EvalTask& task, const TaskRows& rows, size_t row)
      : t_(*task.templates_), rows_(rows), row_(row) {}

  std::string text(const KeyTemplate& of) const { return text_in(of, rows_, row_); }

  std::vector<std::string> choices() const {
    std::vector<std::string> all;
    if (t_.choices.size() == 1) {
      const Json list = t_.choices[0].value(rows_.rows[row_].fields, place());
      require(list.is_array() && !list.empty(), ErrorKind::kData, place(),
              "choices are {}, expected a list of texts",
              list.is_array() ? std::string("an empty list") : list.dump().substr(0, 60));
      for (const Json& each : list) all.push_back(text_of(each));
    } else {
      for (const KeyTemplate& each : t_.choices) all.push_back(text(each));
    }
    for (const std::string& choice : all)
      require(!choice.empty(), ErrorKind::kData, place(),
              "one of the choices is empty, so that nothing could be measured");
    return all;
  }

  int64_t gold(int64_t choices) const {
    const Json value = t_.gold->value(rows_.rows[row_].fields, place());
    int64_t gold = -1;
    if (value.is_number_integer()) {
      gold = value.get<int64_t>();
    } else {
      require(value.is_string() && parse_number(value.get<std::string>(), gold), ErrorKind::kData,
              place(), "gold is {}, expected the number of a choice, from 0",
              value.dump().substr(0, 60));
    }
    require(gold >= 0 && gold < choices, ErrorKind::kData, place(),
            "gold is {}, but there are {} choices, numbered from 0", gold, choices);
    return gold;
  }

  double chance() const {
    const Json value = t_.chance->value(rows_.rows[row_].fields, place());
    double chance = -1;
    if (value.is_number())
      chance = value.get<double>();
    else if (value.is_string() && !parse_number(value.get<std::string>(), chance))
      chance = -1;
    require(chance >= 0 && chance <= 1, ErrorKind::kData, place(),
            "chance is {}, expected a number from 0 to 1", value.dump().substr(0, 60));
    return chance;
  }

  std::string place() const { return rows_.place(row_); }

 private:
  const Templates& t_;
  const TaskRows& rows_;
  size_t row_;
};

EvalTask::EvalTask(TaskConfig config, int64_t shots, const Rng& rng)
    : config_(std::move(config)),
      rows_(rows_of(config_)),
      shots_(shots),
      rng_(rng.fork(config_.name)) {
  if (config_.shots_from && shots > 0) {
    require_data(config_, config_.shots_path());
    other_rows_ = read_task_rows(config_.shots_path(), config_.records);
  }
  const int64_t most = other_rows_ ? std::ssize(other_rows_->rows) : size() - 1;
  require(shots <= most, ErrorKind::kConfig, "shots",
          "{} shots are asked for, but {} has {} rows beside the item; ask for at most {}", shots,
          config_.shots_path().string(), most, most);
  templates_ = std::make_unique<const Templates>(config_);
  const Templates& t = *templates_;
  const bool asks = t.shot_prompt || !t.prompts.empty();
  const bool answers = t.shot_target || !t.choices.empty() || t.target;
  require(shots == 0 || (asks && answers), ErrorKind::kConfig, "shots",
          "{} says nothing that a shot {}; set {} there, or ask for 0 shots", config_.file.string(),
          asks ? "answers" : "asks", asks ? "target or shot_target" : "shot_prompt");
  if (!t.shots_group || shots == 0) return;
  const TaskRows& candidates = other_rows_ ? *other_rows_ : rows_;
  for (size_t row = 0; row < candidates.rows.size(); ++row)
    groups_of_shots_[text_in(*t.shots_group, candidates, row)].push_back(row);
}
EvalTask::~EvalTask() = default;
EvalTask::EvalTask(EvalTask&&) noexcept = default;

// Candidates in the order of the rows, without the item itself.
std::vector<size_t> EvalTask::shots_of_group(int64_t id) const {
  const std::string group = text_in(*templates_->shots_group, rows_, static_cast<size_t>(id));
  const auto found = groups_of_shots_.find(group);
  std::vector<size_t> all = found == groups_of_shots_.end() ? std::vector<size_t>() : found->second;
  if (!other_rows_) std::erase(all, static_cast<size_t>(id));
  require(
      shots_ <= std::ssize(all), ErrorKind::kConfig, "shots",
      "{} shots are asked for, but {} has {} rows of shots_group '{}' for {}; ask for at most {}",
      shots_, config_.shots_path().string(), all.size(), group,
      rows_.place(static_cast<size_t>(id)), all.size());
  if (config_.shots_order == "seeded") {
    std::vector<size_t> drawn;
    const Rng rng = rng_.fork("shots").fork(static_cast<uint64_t>(id));
    for (const int64_t each : Draws(rng).different(shots_, std::ssize(all)))
      drawn.push_back(all[static_cast<size_t>(each)]);
    return drawn;
  }
  all.resize(static_cast<size_t>(shots_));
  return all;
}

std::vector<size_t> EvalTask::shots_of(int64_t id) const {
  if (shots_ > 0 && templates_->shots_group) return shots_of_group(id);
  const bool may_be_own = !other_rows_;
  const int64_t others = may_be_own ? size() - 1 : std::ssize(other_rows_->rows);
  std::vector<int64_t> all(static_cast<size_t>(shots_));
  std::iota(all.begin(), all.end(), 0);
  if (config_.shots_order == "seeded")
    all = Draws(rng_.fork("shots").fork(static_cast<uint64_t>(id))).different(shots_, others);
  std::vector<size_t> rows;
  for (const int64_t row : all)  // numbered without the item itself
    rows.push_back(static_cast<size_t>(row + (may_be_own && row >= id ? 1 : 0)));
  return rows;
}

std::string EvalTask::shot(size_t row) const {
  const Renderer r(*this, other_rows_ ? *other_rows_ : rows_, row);
  const Templates& t = *templates_;
  // Of a prompt for each choice the right one.
  size_t gold = 0;
  std::vector<std::string> choices;
  const bool needs_gold =
      (!t.shot_prompt && t.prompts.size() > 1) || (!t.shot_target && !t.choices.empty());
  if (needs_gold) {
    if (!t.choices.empty()) choices = r.choices();
    gold =
        static_cast<size_t>(r.gold(choices.empty() ? std::ssize(t.prompts) : std::ssize(choices)));
  }
  const std::string prompt =
      r.text(t.shot_prompt ? *t.shot_prompt : t.prompts[t.prompts.size() > 1 ? gold : 0]);
  const std::string answer = t.shot_target     ? r.text(*t.shot_target)
                             : choices.empty() ? r.text(*t.target)
                                               : choices[gold];
  return prompt + config_.delimiter + answer + config_.separator;
}

EvalItem EvalTask::item(int64_t id) const {
  const Templates& t = *templates_;
  const Renderer r(*this, rows_, static_cast<size_t>(id));
  EvalItem item;
  item.id = id;
  std::string before = t.description ? r.text(*t.description) : "";
  for (const size_t row : shots_of(id)) before += shot(row);
  for (const KeyTemplate& prompt : t.prompts) item.prompts.push_back(before + r.text(prompt));
  if (item.prompts.empty()) item.prompts.push_back(before);
  if (t.target) item.target = r.text(*t.target);
  if (!t.choices.empty()) item.choices = r.choices();
  if (t.gold)
    item.gold = r.gold(t.choices.empty() ? std::ssize(t.prompts) : std::ssize(item.choices));
  if (t.group) item.group = r.text(*t.group);
  if (t.uncond) item.uncond = r.text(*t.uncond);
  if (t.chance) item.chance = r.chance();
  const TaskKind kind = config_.task_kind();
  const std::string delimiter = kind == TaskKind::kPerplexity ? "" : config_.delimiter;
  if (kind == TaskKind::kGenerate) return item;
  if (item.choices.empty())
    item.continuations.assign(item.prompts.size(), delimiter + *item.target);
  for (const std::string& choice : item.choices) item.continuations.push_back(delimiter + choice);
  return item;
}

}  // namespace lathe
