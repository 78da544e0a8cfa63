// The catalogue's entry of an objective over answers.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <map>

#include "lathe/base/catalogue.h"
#include "lathe/train/objective/answer_objective.h"
#include "lathe/train/objectives.h"

namespace lathe {

// The task of objectives over answers (train/task/answer_task.cc).
std::unique_ptr<Task> make_answer_task(const TaskSetting& setting);

// Refuses a key that was set although what reads it was not: `without`, as 'loss = "ipo"'.
inline void refuse_unread(const KeyErrors& keys, bool unread, std::string_view key,
                          std::string_view without) {
  if (unread)
    keys.refuse(
        key, fmt::format("nothing reads it without {}; set that, or leave the key out", without));
}
inline bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

// `Class` is constructed from Config. Optional: Config::check(RowShape, KeyErrors), and Config::models(), the
// folders of other models by what they are ("reference"), "" for the starting weights.
template <class Class, class Config>
Objective answer_objective(const ComponentText& text) {
  Objective o = objective<Config>(text, {"decoder", "encoder_decoder"}, make_answer_task);
  o.answers = [](const ComponentConfig& config) -> std::unique_ptr<AnswerObjective> {
    return std::make_unique<Class>(*config.get<Config>());
  };
  o.models = [](const ComponentConfig& config) -> std::map<std::string, std::string> {
    if constexpr (requires(const Config& c) { c.models(); }) return config.get<Config>()->models();
    return {};
  };
  return o;
}

}  // namespace lathe
