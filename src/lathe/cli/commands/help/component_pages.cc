#include <fmt/format.h>

#include <vector>

#include "lathe/cli/commands/help/markdown_table.h"
#include "lathe/cli/commands/help/pages.h"
#include "lathe/config/read_write.h"
#include "lathe/corpus/train_model.h"
#include "lathe/infer/sampler/samplers.h"
#include "lathe/kernels/activation/activations.h"
#include "lathe/model/adapter/module_adapter.h"
#include "lathe/model/adapter/prompt_encoder.h"
#include "lathe/model/convert/conversion.h"
#include "lathe/model/family.h"
#include "lathe/model/model_recipe.h"
#include "lathe/model/presets.h"
#include "lathe/nn/attention/attention.h"
#include "lathe/nn/ffn/ffn.h"
#include "lathe/nn/moe/router.h"
#include "lathe/nn/norm/norm.h"
#include "lathe/nn/norm/placement.h"
#include "lathe/nn/position/position.h"
#include "lathe/nn/position/rope_scaling.h"
#include "lathe/optim/optimizers.h"
#include "lathe/optim/schedule.h"
#include "lathe/text/decode/decoder.h"
#include "lathe/text/format/model_kinds.h"
#include "lathe/text/normalize/normalizer.h"
#include "lathe/text/split/patterns.h"
#include "lathe/text/split/pretokenizer.h"
#include "lathe/text/train/text_preparation.h"
#include "lathe/train/recipe.h"

namespace lathe {
namespace {

// A section: title, what chooses from it, and a table whose first column is code.
class Table {
 public:
  Table(const std::string& title, const std::string& chosen_by,
        const std::vector<std::string>& columns)
      : head_(fmt::format("\n## {}\n\n{}\n\n", title, chosen_by)), table_(columns) {}
  void row(const std::vector<std::string_view>& cells) {
    std::vector<std::string> row(cells.begin(), cells.end());
    row[0] = "`" + row[0] + "`";
    table_.row(row);
  }
  std::string text() const { return head_ + table_.text(); }

 private:
  std::string head_;
  MarkdownTable table_;
};

template <class Catalogue>
std::string layers(const std::string& title, const std::string& key, const Catalogue& catalogue) {
  Table table(title, "`" + key + "`", {"name", "what", "source"});
  for (const auto& e : catalogue) table.row({e.name, e.summary, e.source});
  return table.text();
}

std::string activations_table() {
  using kernels::Activations;
  Table table("Activations", "`model.hidden_act`", {"name", "formula", "source"});
  for (int i = 0; i < Activations::kCount; ++i)
    table.row({Activations::kNames[i], Activations::kFormulas[i], Activations::kSources[i]});
  return table.text();
}

std::string model_tables() {
  Table family("Families", "`model.model_type`", {"name", "in transformers", "what", "source"});
  for (const Family* f : families()) family.row({f->name, f->architecture, f->summary, f->source});
  Table preset("Presets", "`lathe inspect NAME`, `lathe bench train --preset NAME`",
               {"name", "what", "published", "source"});
  for (const Preset& p : presets()) preset.row({p.name, p.summary, p.published, p.source});
  return family.text() + preset.text() + layers("Conversions", "lathe convert", conversions()) +
         layers("Adapters of matrices", "peft_type", module_adapters()) +
         layers("Adapters before the text", "peft_type", prompt_encoders());
}

// Bytes of state for each of the parameter's elements.
double state_bytes(const Optimizer& optimizer, Parameter parameter) {
  Parameter* one = &parameter;
  return static_cast<double>(optimizer.state_bytes({&one, 1})) /
         static_cast<double>(parameter.shape.numel());
}

std::string state_text(const OptimizerEntry& entry) {
  OptimConfig config;
  config.name = entry.name;
  const auto optimizer = make_optimizer(config, {});
  Parameter matrix(Shape{1024, 1024}, {}), table = matrix, vector(Shape{1024}, {});
  table.is_table = true;
  return fmt::format("{:.2g}, {:.2g}, {:.2g}", state_bytes(*optimizer, matrix),
                     state_bytes(*optimizer, table), state_bytes(*optimizer, vector));
}

std::string training_tables() {
  Table objective("Objectives", "`objective.name`", {"name", "what", "trains", "source"});
  for (const auto& o : objectives())
    objective.row({o.name, o.summary, fmt::format("{}", fmt::join(o.bodies, ", ")), o.source});
  Table optimizer(
      "Optimisers", "`optim.name`",
      {"name", "what", "keys in addition to lr, weight_decay, grad_clip",
       "bytes of state per element, in matrices of 1024 x 1024, tables and vectors", "source"});
  for (const OptimizerEntry& o : optimizers())
    optimizer.row({o.name, o.summary, o.keys, state_text(o), o.source});
  Table schedule("Schedules", "`schedule.name`", {"name", "what", "source"});
  for (const ScheduleInfo& s : kSchedules) schedule.row({s.name, s.summary, s.source});
  return objective.text() + optimizer.text() + schedule.text();
}

std::string text_tables() {
  Table sampler(
      "Samplers",
      "In the order in which they run unless `sampler_order` gives another; keys of `lathe generate` and `generation_config.json`.",
      {"name", "keys", "what", "source"});
  for (const SamplerInfo& s : kSamplers) sampler.row({s.name, s.keys, s.summary, s.source});
  Table pattern("Pre-tokeniser patterns", "`lathe tokenizer train --pattern`", {"name", "what"});
  for (const PatternInfo& p : kPreTokenizers) pattern.row({p.name, p.description});
  return sampler.text() + pattern.text();
}

// What `lathe tokenizer train` knows by name, and what a tokenizer.json may be made of.
std::string tokenizer_tables() {
  const auto named = [](const char* title, const char* chosen_by, const auto& catalogue) {
    Table table(title, chosen_by, {"name", "what"});
    for (const auto& e : catalogue) table.row({e.name, e.summary});
    return table.text();
  };
  const auto parts = [](const char* title, const char* key, const auto& catalogue) {
    Table table(title, fmt::format("`type` of `{}` in a tokenizer.json", key),
                {"name", "what", "source"});
    for (const auto& e : catalogue) table.row({e.name, e.summary, e.source});
    return table.text();
  };
  return layers("Models of tokenizers to train", "lathe tokenizer train --model", kTrainedModels) +
         named("Normalisers to train with", "`lathe tokenizer train --normalizer`",
               kNormalizerChoices) +
         named("Splits to train with", "`lathe tokenizer train --pre`, or a pattern",
               kSplitChoices) +
         parts("Models of tokenizers", "model", model_kinds()) +
         parts("Normalisers", "normalizer", kNormalizers) +
         parts("Pre-tokenisers", "pre_tokenizer", kPreTokenizerTypes) +
         parts("Decoders", "decoder", kDecoders);
}

}  // namespace

std::string components_markdown() {
  return "# Components\n\nWritten by `lathe help --components` from the catalogues; change those, "
         "not this page. How to add one: "
         "[adding/](adding).\n" +
         layers("Bodies", "model.body", bodies()) + layers("Norms", "model.norm.kind", norms()) +
         layers("Norm placements", "model.norm.placement", norm_placements()) +
         layers("Positions", "model.position.kind", positions()) +
         layers("Rotary scaling", "model.position.scaling.kind", rope_scalings()) +
         layers("Attention", "model.attention.kind", attentions()) +
         layers("Feed-forward", "model.ffn.kind", feed_forwards()) + activations_table() +
         layers("Routers", "model.moe.router", routers()) + model_tables() + training_tables() +
         text_tables() + tokenizer_tables();
}

// The keys of each objective over answers, which are in the section only where it is chosen.
std::string objective_sections() {
  std::string text;
  for (const auto& o : objectives()) {
    if (o.answers == nullptr) continue;
    ObjectiveConfig config;
    config.name = std::string(o.name);
    text += fmt::format("\n### {}\n\n{} ({}).\n\n{}", o.name, o.summary, o.source,
                        recipe_section_markdown(config, OnResume::kBranch));
  }
  return text;
}

std::string recipe_markdown() {
  Recipe r;
  ModelSection model{r.model};
  AdapterSection adapter;
  const auto section = [](const char* name, ConfigRef config,
                          OnResume unless_said = OnResume::kBranch, const char* when = "") {
    return fmt::format("\n## [{}]\n\n{}{}", name, when,
                       recipe_section_markdown(config, unless_said));
  };
  return "# Recipe\n\n"
         "Every key of a recipe, written by `lathe help --recipe`. On the command line of `lathe "
         "train`: `--section.key=value`.\n\n"
         "In addition to the keys below, `model.from = \"FOLDER\"` starts from the weights of a "
         "model or a checkpoint; then only `attention_dropout` and `hidden_dropout` of [model] may "
         "be given.\n\n"
         "The last column says what happens if a key is changed when a run is continued with "
         "`--resume`: *free*, no bit of the rest of the run depends on the key; *continues*, the "
         "same holds as long as the learning rates of the steps already taken do not change (a "
         "longer run with a constant schedule); *branch*, the rest becomes another run, which "
         "`--branch` accepts and the lineage records; *refused*, the weights or the state of the "
         "optimiser depend on the old value. The paths in `data.train` are free; different "
         "content, weights or order is a branch.\n" +
         section("model", model, OnResume::kAnother) + section("data", r.data) +
         section("train", r.train) + section("objective", r.objective) +
         "\nAn objective over answers has its own keys instead of those above, beside `name`:\n" +
         objective_sections() +
         section(
             "adapter", adapter, OnResume::kBranch,
             "For objectives over answers: the model stays as it is, and an adapter of it is trained.\n\n") +
         section("reward", r.reward, OnResume::kBranch, "For objectives of rollouts.\n\n") +
         section("sandbox", r.sandbox, OnResume::kBranch,
                 "For programs that the model writes: unit_tests, and the tool python.\n\n") +
         section("optim", r.optim) + section("schedule", r.schedule) +
         section(
             "eval", r.eval, OnResume::kBranch,
             "Tasks ([tasks.md](tasks.md)) that are measured on the run's own weights while it trains; their "
             "numbers are in `metrics.jsonl` as `eval.TASK.METRIC`.\n\n");
}

}  // namespace lathe
