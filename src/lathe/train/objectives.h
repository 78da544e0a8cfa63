// Objectives: what a run learns to do, chosen by objective.name. An entry of the catalogue defines
// the bodies that it trains, its keys and how its task is made.
//
//   // my_task.cc, and nothing of it anywhere else:
//   struct MyConfig { double strength = 1; void visit(Visitor& v) { … } };
//   class MyTask : public Task { … };
//   Objective my_objective() {
//     return objective<MyConfig>({.name = "mine", .summary = "…", .source = "…"}, {"decoder"},
//                                [](const TaskSetting& s) -> std::unique_ptr<Task> { … });
//   }
//
//   // objectives.cc: Objective my_objective();  and a line of the table
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/config/component.h"
#include "lathe/model/model_config.h"
#include "lathe/train/row_format/row_format.h"
#include "lathe/train/task/language_model.h"

namespace lathe {

class AnswerObjective;  // train/objective/answer_objective.h

struct Objective {
  std::string_view name, summary, source;
  std::vector<std::string_view> bodies;  // that it can train; it is the default of the first
  ComponentConfig (*config)();           // with its defaults
  // Throws kConfig for a configuration that cannot work.
  void (*check)(const RowShape& shape, const ComponentConfig& config, const KeyErrors& keys);
  std::unique_ptr<Task> (*make)(const TaskSetting& setting);
  // The row format, if the objective is one of the language-model task; else nullptr.
  std::unique_ptr<RowFormat> (*format)(const RowShape& shape,
                                       const ComponentConfig& config) = nullptr;
  // The loss, if the objective is one over answers (train/objective/), and the folders of the other
  // models that it needs by what they are, "" for the starting weights; else nullptr.
  std::unique_ptr<AnswerObjective> (*answers)(const ComponentConfig& config) = nullptr;
  std::map<std::string, std::string> (*models)(const ComponentConfig& config) = nullptr;
};
std::span<const Objective> objectives();

// An objective with its own task; Config has its keys.
template <class Config = NoConfig>
Objective objective(const ComponentText& text, std::vector<std::string_view> bodies,
                    std::unique_ptr<Task> (*make)(const TaskSetting& setting)) {
  return {text.name,
          text.summary,
          text.source,
          std::move(bodies),
          [] { return ComponentConfig::of<Config>(); },
          [](const RowShape& shape, const ComponentConfig& config, const KeyErrors& keys) {
            if constexpr (requires(const Config& c) { c.check(shape, keys); })
              config.get<Config>()->check(shape, keys);
          },
          make};
}

// The language-model task with rows of a format, which is constructed from (shape, config) or,
// without keys, from (shape).
template <class Format, class Config = NoConfig>
Objective text_objective(const ComponentText& text, std::vector<std::string_view> bodies) {
  Objective o = objective<Config>(text, std::move(bodies), make_language_model);
  o.format = component<RowFormat, RowShape, Format, Config>(text).make;
  return o;
}

// The section [objective] of a recipe. An objective over answers has its own keys and no others; those
// of objectives over text are in one list.
struct ObjectiveConfig {
  std::optional<std::string> name;  // default: the usual one of the body, see objective_name()
  HidingConfig hiding;
  ComponentConfigs components{objectives()};
  LanguageModelConfig language_model;
  void visit(Visitor& v);
};

// The entry of the catalogue. Errors: kConfig for an unknown name and for one that does not fit the
// body.
const Objective& find_objective(const ObjectiveConfig& config, const ModelConfig& model);
// Its loss, and its other models. Error kConfig for an objective over text.
std::unique_ptr<AnswerObjective> make_answer_objective(const ObjectiveConfig& config,
                                                       const ModelConfig& model);
std::map<std::string, std::string> models_of(const ObjectiveConfig& config,
                                             const ModelConfig& model);
// The objective's name, or the default of the body.
std::string objective_name(const ObjectiveConfig& config, const ModelConfig& model);
// The longest rows of the run. Errors: kConfig for an objective that does not fit the body, the
// vocabulary or seq_len.
RowLengths check_objective(const ObjectiveConfig& config, const ModelConfig& model,
                           int64_t seq_len);
// Errors: those of check_objective(), and kConfig for an objective without rows of text.
std::unique_ptr<RowFormat> make_row_format(const ObjectiveConfig& config, const ModelConfig& model,
                                           int64_t seq_len);

}  // namespace lathe
