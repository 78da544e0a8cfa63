// The catalogue's entry of an objective over answers.
#pragma once

#include <map>

#include "lathe/base/catalogue.h"
#include "lathe/train/objective/answer_objective.h"
#include "lathe/train/objectives.h"

namespace lathe {

// The task of objectives over answers (train/task/answer_task.cc).
std::unique_ptr<Task> make_answer_task(const TaskSetting& setting);

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
