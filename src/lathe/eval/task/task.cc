#include "lathe/eval/task/task.h"

#include <algorithm>
#include <cmath>
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
  std::vector<KeyTemplate> prompts, choices, difficulties;
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
    for (const NumberTemplate& each : c.difficulties)
      difficulties.emplace_back(c, "difficulty", each.source);
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
  // `order`, if it is not empty: where each element of the task's field `permute` comes from.
  Renderer(const EvalTask& task, const TaskRows& rows, size_t row, std::vector<int64_t> order = {})
      : t_(*task.templates_),
        rows_(rows),
        row_(row),
        order_(std::move(order)),
        fields_(rows.rows[row].fields) {
    if (order_.empty()) return;
    Json& list = fields_[*task.config_.permute];
    const Json as_given = list;
    for (size_t i = 0; i < order_.size(); ++i) list[i] = as_given[static_cast<size_t>(order_[i])];
  }

  std::string text(const KeyTemplate& of) const { return of.rendered(fields_, place()).text; }

  std::vector<std::string> choices() const {
    std::vector<std::string> all;
    if (t_.choices.size() == 1) {
      const Json list = t_.choices[0].value(fields_, place());
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
    if (order_.empty()) return gold;
    const auto found = std::ranges::find(order_, gold);
    require(found != order_.end(), ErrorKind::kData, place(),
            "gold is {}, but the list that is permuted has {} elements", gold, order_.size());
    return found - order_.begin();
  }

  double chance() const {
    const auto chance = number(*t_.chance);
    require(chance && *chance >= 0 && *chance <= 1, ErrorKind::kData, place(),
            "chance is {}, expected a number from 0 to 1", shown(*t_.chance));
    return *chance;
  }

  Difficulty difficulty(const std::vector<NumberTemplate>& named) const {
    Difficulty all;
    for (size_t i = 0; i < named.size(); ++i) {
      const std::string& name = named[i].name;
      const auto value = number(t_.difficulties[i]);
      require(value && std::isfinite(*value), ErrorKind::kData, place(),
              "difficulty{} is {}, expected a number", name.empty() ? "" : "." + name,
              shown(t_.difficulties[i]));
      all.emplace_back(name, *value);
    }
    return all;
  }

  std::string place() const { return rows_.place(row_); }

 private:
  // What a template gives as a number, or as a text of one.
  std::optional<double> number(const KeyTemplate& of) const {
    const Json value = of.value(fields_, place());
    double number = 0;
    if (value.is_number()) return value.get<double>();
    if (value.is_string() && parse_number(value.get<std::string>(), number)) return number;
    return std::nullopt;
  }
  std::string shown(const KeyTemplate& of) const {
    return of.value(fields_, place()).dump().substr(0, 60);
  }

  const Templates& t_;
  const TaskRows& rows_;
  size_t row_;
  std::vector<int64_t> order_;
  Json fields_;
};

EvalTask::EvalTask(TaskConfig config, int64_t shots, const Rng& rng, std::optional<ChatForm> chat)
    : config_(std::move(config)),
      rows_(rows_of(config_)),
      shots_(shots),
      rng_(rng.fork(config_.name)),
      chat_(std::move(chat)) {
  require(!chat_ || config_.task_kind() != TaskKind::kPerplexity, ErrorKind::kConfig,
          config_.file.string(),
          "measures whole texts, which are no conversation; leave --chat out");
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

EvalTask::Shot EvalTask::shot(size_t row) const {
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
  return {prompt, answer};
}

// Empty where the task does not permute.
std::vector<int64_t> EvalTask::order_of_choices(int64_t id) const {
  if (!config_.permute) return {};
  const auto row = static_cast<size_t>(id);
  const auto list = rows_.rows[row].fields.find(*config_.permute);
  require(list != rows_.rows[row].fields.end() && list->is_array(), ErrorKind::kData,
          rows_.place(row), "has no list '{}', which permute names", *config_.permute);
  const auto count = std::ssize(*list);
  return Draws(rng_.fork("choices").fork(static_cast<uint64_t>(id))).different(count, count);
}

Json EvalTask::messages(const std::string& description, const std::vector<Shot>& shots,
                        const std::string& prompt) const {
  Json all = Json::array();
  const auto add = [&](const char* role, const std::string& content) {
    all.push_back({{"role", role}, {"content", content}});
  };
  const std::string system = chat_->system + description;
  if (!system.empty()) add("system", system);
  std::string before;
  for (const Shot& each : shots) {
    if (chat_->shots_as_turns) {
      add("user", each.prompt);
      add("assistant", each.answer);
    } else {
      before += each.prompt + config_.delimiter + each.answer + config_.separator;
    }
  }
  add("user", before + prompt);
  return all;
}

std::string EvalTask::prompt_text(const std::string& description, const std::vector<Shot>& shots,
                                  const std::string& prompt) const {
  if (chat_) return chat_->text(messages(description, shots, prompt));
  std::string text = description;
  for (const Shot& each : shots)
    text += each.prompt + config_.delimiter + each.answer + config_.separator;
  return text + prompt;
}

EvalItem EvalTask::item(int64_t id) const {
  const Templates& t = *templates_;
  const Renderer r(*this, rows_, static_cast<size_t>(id), order_of_choices(id));
  EvalItem item;
  item.id = id;
  item.place = r.place();
  const std::string description = t.description ? r.text(*t.description) : "";
  std::vector<Shot> shots;
  for (const size_t row : shots_of(id)) shots.push_back(shot(row));
  for (const KeyTemplate& prompt : t.prompts)
    item.prompts.push_back(prompt_text(description, shots, r.text(prompt)));
  if (item.prompts.empty()) item.prompts.push_back(prompt_text(description, shots, ""));
  if (t.target) item.target = r.text(*t.target);
  if (!t.choices.empty()) item.choices = r.choices();
  if (t.gold)
    item.gold = r.gold(t.choices.empty() ? std::ssize(t.prompts) : std::ssize(item.choices));
  if (t.group) item.group = r.text(*t.group);
  if (t.uncond) item.uncond = r.text(*t.uncond);
  if (t.chance) item.chance = r.chance();
  item.difficulty = r.difficulty(config_.difficulties);
  const TaskKind kind = config_.task_kind();
  const std::string delimiter = kind == TaskKind::kPerplexity || chat_ ? "" : config_.delimiter;
  if (kind == TaskKind::kGenerate) return item;
  if (item.choices.empty())
    item.continuations.assign(item.prompts.size(), delimiter + *item.target);
  for (const std::string& choice : item.choices) item.continuations.push_back(delimiter + choice);
  return item;
}

}  // namespace lathe
