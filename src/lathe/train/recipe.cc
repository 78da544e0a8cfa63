#include "lathe/train/recipe.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/config/read_write.h"
#include "lathe/config/recipe_file.h"
#include "lathe/model/family.h"
#include "lathe/model/folder.h"
#include "lathe/model/model_recipe.h"
#include "lathe/train/sample_source.h"
#include "lathe/train/validation.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

const std::vector<std::string> kSections = {"model",     "data",  "train",
                                            "objective", "optim", "schedule"};

// What a recipe says of a model that begins from a folder.
struct FromFolder {
  std::optional<std::string>& from;
  double &attention_dropout, &hidden_dropout;

  void visit(Visitor& v) {
    v.field("from", from, "folder of a model or of a checkpoint whose weights the run begins with",
            when_resumed(OnResume::kFree));
    visit_dropout(v, attention_dropout, hidden_dropout);
  }
};

// Dropout is a matter of training, so it may be set with `from`; everything else the folder
// decides.
ModelConfig model_from_folder(const std::string& folder, const Json& section) {
  ModelConfig config = read_model_config(folder);
  std::optional<std::string> from;
  FromFolder fields{from, config.attention_dropout, config.hidden_dropout};
  std::vector<std::string> known;
  for (const FieldInfo& field : describe(fields)) known.push_back(field.key);
  for (const auto& [key, value] : section.items())
    require(std::ranges::find(known, key) != known.end(), ErrorKind::kConfig, "model",
            "'{}' cannot be set beside from = \"{}\": the folder's config.json decides. Keys that "
            "may be given: {}",
            key, folder, join(known, ", "));
  read_config_in_place(fields, section, "model", {});
  return config;
}

// The model is made for the length that it is trained with, unless the recipe says another.
void default_length(ModelConfig& model, const Json& section, const Recipe& r) {
  const Family& family = find_family(model.model_type);
  if (rename_keys(family, section).contains("max_position_embeddings")) return;
  model.max_position_embeddings = std::numeric_limits<int32_t>::max();  // rows of any length
  const RowLengths rows = check_objective(r.objective, model, r.train.seq_len);
  model.max_position_embeddings = std::max({r.train.seq_len, rows.ids, rows.text});
}

// Two keys of a section that set the same thing in different units.
struct Alternatives {
  const char *section, *a, *b;
};
constexpr Alternatives kAlternatives[] = {{"train", "steps", "budget"},
                                          {"train", "eval_samples", "eval_batches"},
                                          {"schedule", "warmup_steps", "warmup_ratio"}};

bool is_given(const Json& tree, const char* section, const char* key) {
  return tree.contains(section) && tree.at(section).contains(key) &&
         !tree.at(section).at(key).is_null();
}

void refuse_both(const Json& tree) {
  for (const auto& [section, a, b] : kAlternatives)
    require(!is_given(tree, section, a) || !is_given(tree, section, b), ErrorKind::kConfig, section,
            "{} and {} are both given, and each sets what the other does; leave one of them out", a,
            b);
}

// Of alternatives that a file and the command line give, the file's.
void remove_replaced(Json& file, const Json& overrides) {
  for (const auto& [section, a, b] : kAlternatives) {
    if (is_given(overrides, section, a) && is_given(file, section, b)) file[section].erase(b);
    if (is_given(overrides, section, b) && is_given(file, section, a)) file[section].erase(a);
  }
}

// Every shard has a prefix, and every validation set a name of its own.
void check_shards(const DataConfig& data) {
  for (const std::string& text : data.train)
    require(!parse_shard_choice(text).prefix.empty(), ErrorKind::kConfig, "data.train",
            "'{}' names no shard; give the prefix of a .bin and .idx", text);
  std::set<std::string> names;
  for (const std::string& text : data.valid) {
    const NamedShard shard = parse_named_shard(text);
    require(!shard.prefix.empty(), ErrorKind::kConfig, "data.valid",
            "'{}' names no shard; give the prefix of a .bin and .idx, as in \"NAME=PREFIX\"", text);
    require(names.insert(shard.name).second, ErrorKind::kConfig, "data.valid",
            "two sets are named '{}'; name one of them otherwise, as in \"NAME={}\"", shard.name,
            shard.prefix);
  }
}

void check_together(const Recipe& r) {
  check_shards(r.data);
  check_objective(r.objective, r.model, r.train.seq_len);
  require(!r.data.document_mask ||
              make_row_format(r.objective, r.model, r.train.seq_len)->is_plain_text(),
          ErrorKind::kConfig, "data.document_mask",
          "only rows that are the text itself keep their documents apart: objective.name = "
          "\"next_token\"; leave it off for {}",
          objective_name(r.objective, r.model));
  require(r.train.device == "cpu" || r.train.precision == "fp32", ErrorKind::kConfig,
          "train.precision", "the ref device computes in double; write precision = \"fp32\"");
  require(r.train.sample_every == 0 || r.data.tokenizer, ErrorKind::kConfig, "train.sample_every",
          "sample texts need a tokenizer; set data.tokenizer, or sample_every = 0");
}

}  // namespace

void DataConfig::visit(Visitor& v) {
  v.field(
      "train", train,
      "token shards to learn from: prefixes of a .bin and .idx. \"PREFIX:0.3\" gives that share of "
      "the samples; shards without a share divide what is left by their sizes",
      required().when_resumed(OnResume::kFree));  // what counts is checked by content
  v.field(
      "valid", valid,
      "token shards to validate on, \"NAME=PREFIX\" to name one; the first is that of val_loss, "
      "keep_best and patience",
      when_resumed(OnResume::kFree));
  v.choice("order", order, {"shuffle", "sequential"}, "how samples follow each other");
  v.field("document_mask", document_mask,
          "tokens see only their own document, positions restart in each, and no loss crosses a "
          "border");
  v.field("tokenizer", tokenizer,
          "tokenizer of the shards: for samples, bits per byte, and the finished folder",
          when_resumed(OnResume::kFree));
}

void TrainConfig::visit(Visitor& v) {
  const auto free = when_resumed(OnResume::kFree);
  const auto free_from = [](double least) { return at_least(least).when_resumed(OnResume::kFree); };
  v.field(
      "budget", budget,
      "in place of steps, what they are to come to: \"300M tokens\", \"2 epochs\" or \"1.5 hours\"",
      free);
  if (!budget)
    v.field("steps", steps, "optimiser steps", at_least(1).when_resumed(OnResume::kContinues));
  v.field("batch_size", batch_size, "sequences in one micro-batch", between(1, 1 << 20));
  v.field("grad_accumulation", grad_accumulation, "micro-batches whose gradients make one step",
          between(1, 1 << 20));
  v.field(
      "batch_ramp", batch_ramp,
      "steps over which the micro-batches of a step grow from one to grad_accumulation; 0: all of "
      "them from the first step on",
      at_least(0));
  v.field("seq_len", seq_len, "tokens of a sequence", at_least(1));
  v.choice("precision", precision, precision_names(),
           "arithmetic of the model; master weights and optimiser are fp32 in both");
  v.choice("recompute", recompute, {"none", "selective", "full"},
           "activations made again in the backward: less memory, more time", free);
  v.choice("device", device, {"cpu", "ref"}, "ref: scalar double precision, for checking",
           when_resumed(OnResume::kAnother));
  v.field("seed", seed, "of weights, order and dropout", at_least(0));
  v.field("out", out, "folder of the run", free);
  v.field("checkpoint_every", checkpoint_every, "steps between checkpoints; 0 writes only the last",
          free_from(0));
  v.field("keep_last", keep_last, "newest checkpoints that are kept", free_from(1));
  v.field("keep_every", keep_every,
          "checkpoints at multiples of this step are kept for good; 0 keeps none", free_from(0));
  v.field("keep_best", keep_best,
          "keep the checkpoint of the lowest validation loss, as checkpoints/best", free);
  v.field("patience", patience,
          "end the run when so many validations in a row bring no lower loss; 0 never does",
          free_from(0));
  v.field("eval_every", eval_every, "steps between validations; 0 validates only at the end",
          free_from(0));
  v.field("eval_batches", eval_batches,
          "in place of eval_samples: samples of a validation, in micro-batches", free_from(1));
  if (!eval_batches)
    v.field("eval_samples", eval_samples,
            "samples of one validation, always the same; 0 reads the whole shard", free_from(0));
  v.field("sample_every", sample_every, "steps between sample texts; 0 writes none", free_from(0));
  v.field("sample_prompt", sample_prompt, "how a sample text begins", free);
  v.field("sample_tokens", sample_tokens, "tokens of a sample text", free_from(1));
  v.field(
      "ema_decay", ema_decay,
      "decay of an average of the weights, used for validation and the finished model; 0 is off",
      Limits{.minimum = 0, .maximum = 1, .exclusive_maximum = true});
  v.field("spike_skip", spike_skip,
          "skip a step whose loss is this many standard deviations above its running mean; 0 "
          "never skips",
          at_least(0));
  v.field("max_skipped", max_skipped,
          "skipped steps in a row that end the run: it no longer learns", free_from(1));
}

void Recipe::visit(Visitor& v) {
  v.on_resume(OnResume::kAnother);
  if (from) {
    FromFolder section{from, model.attention_dropout, model.hidden_dropout};
    v.group("model", section, "the model");
  } else {
    ModelSection section{model};
    v.group("model", section, "the model");
  }
  v.on_resume(OnResume::kBranch);
  v.group("data", data, "what it learns from");
  v.group("train", train, "the run");
  v.group("objective", objective, "what it predicts");
  v.group("optim", optim, "the optimiser");
  v.group("schedule", schedule, "the learning rate over the run");
}

DType Recipe::compute_dtype() const {
  if (train.device == "ref") return DType::kF64;
  return dtype_of_precision(train.precision);
}

Device Recipe::compute_device() const {
  return train.device == "ref" ? Device::kRef : Device::kCpu;
}

Recompute Recipe::recompute() const {
  if (train.recompute == "full") return Recompute::kFull;
  return train.recompute == "selective" ? Recompute::kSelective : Recompute::kNone;
}

Recipe read_recipe(const Json& tree) {
  for (const auto& [key, value] : tree.items()) {
    require(std::ranges::find(kSections, key) != kSections.end(), ErrorKind::kConfig, "recipe",
            "unknown section [{}].{} Sections: {}", key, did_you_mean(key, kSections),
            join(kSections, ", "));
    require(value.is_object(), ErrorKind::kConfig, "recipe",
            "'{}' is a section: write [{}] and its keys below", key, key);
  }
  auto section = [&](const char* name) {
    return tree.contains(name) ? tree.at(name) : Json::object();
  };
  Recipe r;
  const Json model = section("model");
  if (model.contains("from")) {
    require(model["from"].is_string(), ErrorKind::kConfig, "model.from",
            "expected a folder, got {}", model["from"].dump());
    r.from = model["from"].get<std::string>();
    r.model = model_from_folder(*r.from, model);
  } else {
    r.model = model_config_from_recipe(model);
  }
  refuse_both(tree);
  read_config(r.data, section("data"), "data");
  read_config(r.train, section("train"), "train");
  read_config(r.objective, section("objective"), "objective");
  read_config(r.optim, section("optim"), "optim");
  read_config(r.schedule, section("schedule"), "schedule");
  if (!r.from) default_length(r.model, model, r);
  check_together(r);
  return r;
}

Recipe read_recipe(const std::string& path, std::span<const std::string> overrides) {
  Json tree = load_recipe(path), given = Json::object();
  for (const std::string& assignment : overrides) apply_override(given, assignment);
  remove_replaced(tree, given);
  for (const std::string& assignment : overrides) apply_override(tree, assignment);
  return read_recipe(tree);
}

Json write_recipe(const Recipe& r) { return write_config(r); }

}  // namespace lathe
