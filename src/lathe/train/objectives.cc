#include "lathe/train/objectives.h"

#include <algorithm>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/train/objective/answer_objective.h"
#include "lathe/train/task.h"

namespace lathe {

Objective next_token_objective();
Objective prefix_lm_objective();
Objective span_corruption_objective();
Objective masked_lm_objective();
Objective ul2_objective();
Objective sft_objective();
Objective distill_objective();
Objective dpo_objective();
Objective kto_objective();
Objective orpo_objective();
Objective cpo_objective();
Objective reward_objective();
Objective prm_objective();
Objective ppo_objective();
Objective grpo_objective();
Objective rloo_objective();
Objective reinforce_pp_objective();
Objective online_dpo_objective();

std::span<const Objective> objectives() {
  static const Objective kObjectives[] = {
      next_token_objective(), prefix_lm_objective(),    span_corruption_objective(),
      masked_lm_objective(),  ul2_objective(),          sft_objective(),
      distill_objective(),    dpo_objective(),          kto_objective(),
      orpo_objective(),       cpo_objective(),          reward_objective(),
      prm_objective(),        ppo_objective(),          grpo_objective(),
      rloo_objective(),       reinforce_pp_objective(), online_dpo_objective(),
  };
  return kObjectives;
}

void ObjectiveConfig::visit(Visitor& v) {
  v.choice("name", name, names_of(objectives()),
           "what the model learns to predict; default: next_token for decoder, prefix_lm for "
           "prefix_decoder, span_corruption for encoder_decoder, masked_lm for encoder");
  const auto chosen = std::ranges::find_if(
      objectives(), [&](const Objective& o) { return name && o.name == *name; });
  if (chosen != objectives().end() && chosen->answers != nullptr)
    return components.of(chosen->name).visit(v);
  hiding.visit(v);
  for (const Objective& o : objectives())
    if (o.answers == nullptr) components.of(o.name).visit(v);
  language_model.visit(v);
}

std::string objective_name(const ObjectiveConfig& config, const ModelConfig& model) {
  if (config.name) return *config.name;
  const auto entry = std::ranges::find_if(
      objectives(), [&](const Objective& o) { return o.bodies.front() == model.body; });
  require(entry != objectives().end(), ErrorKind::kConfig, "objective.name",
          "there is no default for body = \"{}\"; set one", model.body);
  return std::string(entry->name);
}

const Objective& find_objective(const ObjectiveConfig& config, const ModelConfig& model) {
  const std::string name = objective_name(config, model);
  const Objective& entry = find_in(objectives(), "objective.name", name);
  require(std::ranges::find(entry.bodies, model.body) != entry.bodies.end(), ErrorKind::kConfig,
          "objective.name", "{} cannot train body = \"{}\"; it is for {}", name, model.body,
          fmt::join(entry.bodies, ", "));
  return entry;
}

namespace {

const Objective& find_answer_objective(const ObjectiveConfig& config, const ModelConfig& model) {
  const Objective& entry = find_objective(config, model);
  require(
      entry.answers != nullptr, ErrorKind::kConfig, "objective.name",
      "{} learns from running text; here an objective over answers is needed, such as sft or dpo",
      entry.name);
  return entry;
}

}  // namespace

std::unique_ptr<AnswerObjective> make_answer_objective(const ObjectiveConfig& config,
                                                       const ModelConfig& model) {
  const Objective& entry = find_answer_objective(config, model);
  return entry.answers(config.components.of(entry.name));
}

std::map<std::string, std::string> models_of(const ObjectiveConfig& config,
                                             const ModelConfig& model) {
  const Objective& entry = find_answer_objective(config, model);
  return entry.models(config.components.of(entry.name));
}

namespace {

RowShape row_shape(const ObjectiveConfig& config, const ModelConfig& model, int64_t seq_len) {
  require(!model.body_traits().encoder || model.decoder_start(), ErrorKind::kConfig,
          "model.decoder_start_token_id",
          "an encoder_decoder needs an id that its decoder starts with; give this or pad_token_id");
  return {.body = model.body_traits(),
          .vocab_size = model.vocab_size,
          .seq_len = seq_len,
          .eos_token_id = model.eos_token_id,
          .decoder_start = model.decoder_start(),
          .hiding = config.hiding};
}

}  // namespace

std::unique_ptr<Task> make_task(const TaskSetting& setting) {
  return find_objective(setting.recipe.objective, setting.recipe.model).make(setting);
}

RowLengths check_objective(const ObjectiveConfig& config, const ModelConfig& model,
                           int64_t seq_len) {
  const Objective& entry = find_objective(config, model);
  const RowShape shape = row_shape(config, model, seq_len);
  const ComponentConfig& own = config.components.of(entry.name);
  entry.check(shape, own, KeyErrors("objective"));
  const RowLengths most =
      entry.format ? entry.format(shape, own)->longest() : RowLengths{.ids = seq_len};
  require(std::max(most.text, most.ids) <= model.max_position_embeddings, ErrorKind::kConfig,
          "train.seq_len",
          "{} makes rows of up to {} tokens, more than model.max_position_embeddings = {}; raise "
          "that or shorten seq_len",
          entry.name, std::max(most.text, most.ids), model.max_position_embeddings);
  return most;
}

std::unique_ptr<RowFormat> make_row_format(const ObjectiveConfig& config, const ModelConfig& model,
                                           int64_t seq_len) {
  check_objective(config, model, seq_len);
  const Objective& entry = find_objective(config, model);
  require(entry.format != nullptr, ErrorKind::kConfig, "objective.name",
          "{} does not make rows of text, which are needed here; choose an objective that does",
          entry.name);
  return entry.format(row_shape(config, model, seq_len), config.components.of(entry.name));
}

}  // namespace lathe
