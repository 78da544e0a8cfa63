#include "lathe/train/recipe.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/chat/tools/tool.h"
#include "lathe/config/read_write.h"
#include "lathe/config/recipe_file.h"
#include "lathe/model/family.h"
#include "lathe/model/gguf/tensor_types.h"
#include "lathe/model/load_model.h"
#include "lathe/model/model_recipe.h"
#include "lathe/train/objective/answer_objective.h"
#include "lathe/train/objective/rollout_config.h"
#include "lathe/train/reward/reward_functions.h"
#include "lathe/train/sample_source.h"
#include "lathe/train/validation.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

const std::vector<std::string> kSections = {"model",  "data",    "train", "objective", "adapter",
                                            "reward", "sandbox", "optim", "schedule",  "eval"};

// What a recipe says of a model that begins from a folder.
struct FromFolder {
  std::optional<std::string>& from;
  double &attention_dropout, &hidden_dropout;
  BaseQuantisation& base;

  void visit(Visitor& v) {
    v.field("from", from, "folder of a model or of a checkpoint whose weights the run starts from",
            when_resumed(OnResume::kFree));
    base.visit(v);
    visit_dropout(v, attention_dropout, hidden_dropout);
  }
};

// Dropout is a matter of training, so it may be set with `from`; everything else the folder
// decides.
ModelConfig model_from_folder(const std::string& folder, const Json& section,
                              BaseQuantisation& base) {
  ModelConfig config = read_model_config(folder);
  std::optional<std::string> from;
  FromFolder fields{from, config.attention_dropout, config.hidden_dropout, base};
  std::vector<std::string> known;
  for (const FieldInfo& field : describe(fields)) known.push_back(field.key);
  for (const auto& [key, value] : section.items())
    require(std::ranges::find(known, key) != known.end(), ErrorKind::kConfig, "model",
            "'{}' cannot be set together with from = \"{}\": the folder's config.json decides. "
            "Keys that may be given: {}",
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
            "{} and {} are both given, but they set the same thing; leave one of them out", a, b);
}

// Of alternatives that a file and the command line give, the file's.
void remove_replaced(Json& file, const Json& overrides) {
  for (const auto& [section, a, b] : kAlternatives) {
    if (is_given(overrides, section, a) && is_given(file, section, b)) file[section].erase(b);
    if (is_given(overrides, section, b) && is_given(file, section, a)) file[section].erase(a);
  }
}

// Every shard has a prefix.
void check_shards(const std::vector<std::string>& choices, const char* key) {
  for (const std::string& text : choices)
    require(!parse_shard_choice(text, key).prefix.empty(), ErrorKind::kConfig, key,
            "'{}' names no shard; give the prefix of a .bin and .idx", text);
}

// And every validation set a name of its own.
void check_named_shards(const std::vector<std::string>& sets, const char* key) {
  std::set<std::string> names;
  for (const std::string& text : sets) {
    const NamedShard shard = parse_named_shard(text);
    require(!shard.prefix.empty(), ErrorKind::kConfig, key,
            "'{}' names no shard; give the prefix of a .bin and .idx, as in \"NAME=PREFIX\"", text);
    require(names.insert(shard.name).second, ErrorKind::kConfig, key,
            "two sets are named '{}'; give one of them another name, as in \"NAME={}\"", shard.name,
            shard.prefix);
  }
}

// What a run over answers has beside them, as train/task/pretraining_text.h learns it.
void check_text_beside(const Recipe& r, const char* key) {
  require(
      r.model.body == "decoder" && r.model.num_labels == 0, ErrorKind::kConfig, key,
      "the next token of replayed text is predicted by a decoder with its head; {} with body = \"{}\" "
      "has none; leave it out",
      objective_name(r.objective, r.model), r.model.body);
}

void check_replay(const Recipe& r) {
  check_shards(r.data.replay, "data.replay");
  check_named_shards(r.data.replay_valid, "data.replay_valid");
  require(
      r.data.replay_valid.empty() || (r.model.body == "decoder" && r.model.num_labels == 0),
      ErrorKind::kConfig, "data.replay_valid",
      "is for decoders, which have a loss of the next token; this model has body = \"{}\"{}; leave it "
      "out",
      r.model.body, r.model.num_labels > 0 ? " and scores in place of its head" : "");
  if (r.data.replay.empty()) {
    require(r.data.replay_share == DataConfig().replay_share, ErrorKind::kConfig,
            "data.replay_share", "says how much of data.replay is read, which is not set");
    return;
  }
  require(r.learns_answers(), ErrorKind::kConfig, "data.replay",
          "is for objectives over answers; {} learns from running text, so put the old shards into "
          "data.train, with their share as in \"PREFIX:0.1\"",
          objective_name(r.objective, r.model));
  require(
      !r.learns_rollouts(), ErrorKind::kConfig, "data.replay",
      "is for objectives over given answers; {} draws its own; leave it out, or use objective.name = \"ppo\" "
      "with ptx_data and ptx_coef",
      objective_name(r.objective, r.model));
  check_text_beside(r, "data.replay");
}

// A language model gets the scores that the objective needs in its head's place: one of a text, or two of a
// token with a bias, as transformers' sequence and token classifiers have them.
void begin_scores(ModelConfig& model, const AnswerNeeds& needs) {
  if (model.num_labels > 0 || (!needs.scores && !needs.step_scores)) return;
  model.num_labels = needs.step_scores ? 2 : 1;
  model.lm_head_bias = needs.step_scores;
}

// Kinds whose rows may be conversations of several answers that are learnt.
bool has_turns(ExampleKind kind) {
  return kind == ExampleKind::kSingle || kind == ExampleKind::kLabelled;
}

void check_rollouts(const Recipe& r) {
  const auto refuse = [&](bool given, const char* key, std::string_view why) {
    require(!given, ErrorKind::kConfig, key, "{} learns from answers that it draws itself, {}",
            objective_name(r.objective, r.model), why);
  };
  refuse(
      r.data.packing, "data.packing",
      "each in a sequence of its own; leave it out, and set train.batch_size, which counts answers");
  refuse(
      r.data.truncation_mode == "keep_start", "data.truncation_mode",
      "so that a row has no answer whose end could be cut; leave it out, or cut the beginning of long "
      "prompts with \"keep_end\"");
}

void check_answers(const Recipe& r) {
  const auto refuse = [&](bool given, const char* key, std::string_view why) {
    require(!given, ErrorKind::kConfig, key, "{} learns from prompts and answers, {}; leave it out",
            objective_name(r.objective, r.model), why);
  };
  const auto objective = make_answer_objective(r.objective, r.model);
  const AnswerNeeds needs = objective->needs();
  if (objective->pretraining() != nullptr) check_text_beside(r, "objective.ptx_data");
  require(needs.kind == ExampleKind::kSteps || r.data.step_separator == DataConfig().step_separator,
          ErrorKind::kConfig, "data.step_separator",
          "stands between the steps of answers, which {} has none of",
          objective_name(r.objective, r.model));
  refuse(r.data.document_mask, "data.document_mask", "which never see each other");
  refuse(
      r.train.sample_every > 0, "train.sample_every",
      "of which its run writes no samples (lathe generate shows what the finished model answers)");
  require(!r.data.mask_history || has_turns(needs.kind), ErrorKind::kConfig, "data.mask_history",
          "says which answers of a conversation are learnt, but {} learns from {}; leave it out",
          objective_name(r.objective, r.model),
          r.learns_rollouts() ? "answers that it draws itself" : "answers to one prompt");
  if (r.learns_rollouts()) check_rollouts(r);
  refuse(r.train.quantize.has_value(), "train.quantize", "which is not combined with it yet");
  refuse(r.train.batch_ramp > 0, "train.batch_ramp", "whose steps all have the same size");
}

void check_adapter(const Recipe& r) {
  require(r.from.has_value(), ErrorKind::kConfig, "adapter",
          "an adapter acts on a model that exists; set model.from to its folder");
  require(
      r.learns_answers(), ErrorKind::kConfig, "adapter",
      "{} trains the whole model on running text; set objective.name to sft, dpo or another objective over "
      "answers, or leave the section out",
      objective_name(r.objective, r.model));
  if (!r.adapter->from) check(r.adapter->config);
}

void check_eval(const Recipe& r) {
  require(
      !r.eval.best || r.eval.signal, ErrorKind::kConfig, "eval.best",
      "needs eval.signal, by which the tasks are chosen; set it to what `lathe eval signal RUNS "
      "--out FILE` wrote, or leave eval.best out");
  require(!r.eval.signal || r.eval.best, ErrorKind::kConfig, "eval.signal",
          "chooses nothing without eval.best; set that to the number of tasks to measure, or leave "
          "eval.signal out");
  require(!r.eval.best || !r.eval.tasks.empty(), ErrorKind::kConfig, "eval.best",
          "chooses among eval.tasks, of which there are none; name some");
  if (r.eval.tasks.empty()) return;
  require(r.model.num_labels == 0, ErrorKind::kConfig, "eval.tasks",
          "are texts, but the run trains scores; leave them out");
}

void check_head(const ModelConfig& model) {
  require(
      model.lm_head, ErrorKind::kConfig, "model.lm_head",
      "the model has no output head, and so nothing that a loss could be of; start from a language model");
  require(
      model.num_labels == 0 || model.body_traits().causal, ErrorKind::kConfig, "model.num_labels",
      "scores of a text are trained at its last token, which in an encoder is no other than the rest; use "
      "body = \"decoder\"");
}

void check_together(const Recipe& r) {
  check_head(r.model);
  check_eval(r);
  check_objective(r.objective, r.model, r.train.seq_len);
  if (r.adapter) check_adapter(r);
  check_replay(r);
  require(r.train.neftune_noise_alpha == 0 || (r.learns_answers() && !r.learns_rollouts()),
          ErrorKind::kConfig, "train.neftune_noise_alpha",
          "is for objectives over given answers, such as sft; {} {}; leave it out",
          objective_name(r.objective, r.model),
          r.learns_answers()
              ? "compares its model with the one that drew its answers, which has no noise"
              : "learns from running text");
  require(
      r.adapter || r.base.quantization == "none", ErrorKind::kConfig, "model.quantization",
      "weights in four bits cannot be trained; add a section [adapter], which is trained on top of them, or "
      "leave the key out");
  require(r.base.quantization != "none" || !r.base.double_quant, ErrorKind::kConfig,
          "model.double_quant", "says how quantization = \"nf4\" rounds, which is not set");
  if (r.learns_answers()) {
    check_answers(r);
  } else {
    check_shards(r.data.train, "data.train");
    check_named_shards(r.data.valid, "data.valid");
    const DataConfig none;
    require(
        !r.data.packing && !r.data.mask_history && r.data.truncation_mode == none.truncation_mode,
        ErrorKind::kConfig, "data",
        "packing, truncation_mode and mask_history are for rows of prompts and answers, but {} learns "
        "from running text; leave them out, or set objective.name to sft, dpo …",
        objective_name(r.objective, r.model));
  }
  require(!r.data.document_mask || r.learns_answers() ||
              make_row_format(r.objective, r.model, r.train.seq_len)->is_plain_text(),
          ErrorKind::kConfig, "data.document_mask",
          "only objective.name = \"next_token\" can keep the documents of a row apart; leave it "
          "off for {}",
          objective_name(r.objective, r.model));
  require(r.train.device == "cpu" || r.train.precision == "fp32", ErrorKind::kConfig,
          "train.precision",
          "the ref device computes in double precision; write precision = \"fp32\"");
  require(
      (!r.train.keep_best && r.train.patience == 0) || !r.data.valid.empty(), ErrorKind::kConfig,
      r.train.keep_best ? "train.keep_best" : "train.patience",
      "goes by the validation loss, and nothing is validated on; set data.valid, or leave it out");
  require(!r.train.eval_on_start || !r.data.valid.empty(), ErrorKind::kConfig,
          "train.eval_on_start",
          "there is nothing to validate on; set data.valid, or leave it out");
  require(r.train.sample_every == 0 || r.data.tokenizer, ErrorKind::kConfig, "train.sample_every",
          "sample texts need a tokenizer; set data.tokenizer, or sample_every = 0");
}

std::vector<std::string> quantised_types() {
  std::vector<std::string> names = writable_block_types();
  std::erase_if(names, [](const auto& name) { return writable_block_type(name).is_plain(); });
  return names;
}

}  // namespace

void DataConfig::visit(Visitor& v) {
  v.field(
      "train", train,
      "what to train on. For objectives over running text token shards: prefixes of a .bin and .idx; "
      "\"PREFIX:0.3\" takes that share of the samples from the shard, and shards without a share "
      "divide the rest in proportion to their sizes. For objectives over answers files of rows (JSON "
      "lines or arrays)",
      required().when_resumed(OnResume::kFree));  // what counts is checked by content
  v.field("valid", valid,
          "what to validate on, \"NAME=PREFIX\" to name a shard or file; val_loss, keep_best and "
          "patience use the first",
          when_resumed(OnResume::kFree));
  v.choice("order", order, {"shuffle", "sequential"}, "order of the samples");
  v.field("document_mask", document_mask,
          "tokens attend only to their own document, positions restart in each document, and no "
          "label crosses a boundary");
  v.field(
      "tokenizer", tokenizer,
      "tokenizer of the shards, used for sample texts, bits per byte and the finished folder; of rows "
      "of words, with its chat template (default: that of model.from)",
      when_resumed(OnResume::kFree));
  v.field(
      "packing", packing,
      "rows of answers: put several into one sequence of seq_len tokens, in which they do not see each "
      "other; batch_size counts sequences");
  v.choice(
      "truncation_mode", truncation_mode, {"drop", "keep_start", "keep_end"},
      "rows of answers that are longer than seq_len: leave them out, cut the end of the answer, or "
      "cut the beginning of the prompt");
  v.field("mask_history", mask_history,
          "conversations: only the last answer is trained on, not those before it");
  v.field("step_separator", step_separator,
          "answers in steps: the text behind each step, whose last token is judged");
  v.field(
      "replay", replay,
      "token shards of the pretraining mixture, as train has them for running text, whose text is "
      "replayed between the answers so that the model keeps what it knew");
  v.field(
      "replay_share", replay_share,
      "with replay: share s of the trained tokens of a step that are replayed; the loss is (1 - s) x "
      "the objective + s x the mean loss of the replayed tokens",
      Limits{.minimum = 0, .maximum = 1, .exclusive_minimum = true, .exclusive_maximum = true});
  v.field(
      "replay_valid", replay_valid,
      "token shards of what the model knew, \"NAME=PREFIX\" to name one: the loss of the next token "
      "on them is measured before the first step and after the last",
      when_resumed(OnResume::kFree));
}

void BaseQuantisation::visit(Visitor& v) {
  v.choice("quantization", quantization, {"none", "nf4"},
           "with an adapter: keep the linear layers but the head in four bits, as QLoRA does");
  v.field("double_quant", double_quant, "nf4: quantise the scales of blocks, too");
}

void AdapterSection::visit(Visitor& v) {
  v.field("from", from,
          "folder of an adapter that is trained on, whose adapter_config.json decides");
  if (!from) config.visit(v);
}

void TrainConfig::visit(Visitor& v) {
  const auto free = when_resumed(OnResume::kFree);
  const auto free_from = [](double least) { return at_least(least).when_resumed(OnResume::kFree); };
  v.field("budget", budget,
          "length of the run, instead of steps: \"300M tokens\", \"2 epochs\" or \"1.5 hours\"",
          free);
  if (!budget)
    v.field("steps", steps, "optimiser steps", at_least(1).when_resumed(OnResume::kContinues));
  v.field("batch_size", batch_size, "sequences in one micro-batch", between(1, 1 << 20));
  v.field("grad_accumulation", grad_accumulation,
          "micro-batches whose gradients are combined in one step", between(1, 1 << 20));
  v.field("batch_ramp", batch_ramp,
          "steps over which the number of micro-batches per step grows from one to "
          "grad_accumulation; 0 uses all of them from the first step on",
          at_least(0));
  v.field("seq_len", seq_len, "tokens per sequence", at_least(1));
  v.choice("precision", precision, precision_names(),
           "arithmetic of the model; master weights and optimiser are fp32 in both");
  v.choice(
      "quantize", quantize, quantised_types(),
      "passes read every matrix rounded as `lathe quantize --type T --pure` rounds it, and "
      "gradients go straight through: the finished model loses nothing when it is quantised so");
  v.choice("recompute", recompute, {"none", "selective", "full"},
           "activations to recompute in the backward pass: less memory, more time", free);
  v.choice("device", device, {"cpu", "ref"}, "ref: scalar double precision, for checking",
           when_resumed(OnResume::kAnother));
  v.field("seed", seed, "seed of weights, sample order and dropout", at_least(0));
  v.field("out", out, "folder of the run", free);
  v.field("checkpoint_every", checkpoint_every, "steps between checkpoints; 0 writes only the last",
          free_from(0));
  v.field("keep_last", keep_last, "number of newest checkpoints to keep", free_from(1));
  v.field("keep_every", keep_every, "never delete checkpoints at multiples of this step; 0 is off",
          free_from(0));
  v.field("keep_best", keep_best,
          "keep the checkpoint with the lowest validation loss, as checkpoints/best", free);
  v.field("patience", patience,
          "end the run after this many validations in a row without a lower loss; 0 is off",
          free_from(0));
  v.field("eval_every", eval_every, "steps between validations; 0 validates only at the end",
          free_from(0));
  v.field("eval_on_start", eval_on_start, "validate before the first step, too", free);
  v.field("eval_batches", eval_batches,
          "samples per validation, in micro-batches, instead of eval_samples", free_from(1));
  if (!eval_batches)
    v.field("eval_samples", eval_samples,
            "samples per validation, always the same ones; 0 reads the whole shard", free_from(0));
  v.field("sample_every", sample_every, "steps between sample texts; 0 writes none", free_from(0));
  v.field("sample_prompt", sample_prompt, "prompt of the sample texts", free);
  v.field("sample_tokens", sample_tokens, "tokens per sample text", free_from(1));
  v.field("ema_decay", ema_decay,
          "decay of the moving average of the weights that is used for validation and the finished "
          "model; 0 is off",
          Limits{.minimum = 0, .maximum = 1, .exclusive_maximum = true});
  v.field("spike_skip", spike_skip,
          "skip a step whose loss is this many standard deviations above its running mean; 0 "
          "never skips",
          at_least(0));
  v.field("max_skipped", max_skipped,
          "end the run after this many skipped steps in a row, because it no longer learns",
          free_from(1));
  v.field(
      "neftune_noise_alpha", neftune_noise_alpha,
      "objectives over given answers: noise on the embeddings of training passes, uniform in plus or "
      "minus alpha / sqrt(L d) for a sequence of L tokens of width d (NEFTune, which used 5); 0 is off",
      at_least(0));
}

void Recipe::visit(Visitor& v) {
  v.on_resume(OnResume::kAnother);
  if (from) {
    FromFolder section{from, model.attention_dropout, model.hidden_dropout, base};
    v.group("model", section, "the model");
  } else {
    ModelSection section{model};
    v.group("model", section, "the model");
  }
  v.on_resume(OnResume::kBranch);
  v.group("data", data, "the training data");
  v.group("train", train, "the run");
  v.group("objective", objective, "the training objective");
  if (adapter) v.group("adapter", *adapter, "what is trained in place of the model");
  if (learns_rollouts()) v.group("reward", reward, "what the model's answers are worth");
  if (runs_programs()) v.group("sandbox", sandbox, "where programs that the model wrote run");
  v.group("optim", optim, "the optimiser");
  v.group("schedule", schedule, "the learning-rate schedule");
  v.group("eval", eval, "tasks that are measured while it trains");
}

bool Recipe::learns_answers() const { return find_objective(objective, model).answers != nullptr; }

bool Recipe::learns_rollouts() const {
  return learns_answers() && make_answer_objective(objective, model)->rollouts() != nullptr;
}

bool Recipe::runs_programs() const {
  if (!learns_rollouts()) return false;
  const auto drawing = make_answer_objective(objective, model);
  const auto runs = [](const auto& catalogue, const std::vector<std::string>& names) {
    return std::ranges::any_of(catalogue, [&](const auto& each) {
      return each.runs_programs() && std::ranges::find(names, each.name) != names.end();
    });
  };
  return runs(reward_functions(), reward.functions) ||
         runs(tools(), drawing->rollouts()->tools.tools);
}

std::optional<std::string> Recipe::tokenizer() const {
  return data.tokenizer ? data.tokenizer : from;
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
    r.model = model_from_folder(*r.from, model, r.base);
  } else {
    r.model = model_config_from_recipe(model);
  }
  refuse_both(tree);
  read_config(r.data, section("data"), "data");
  read_config(r.train, section("train"), "train");
  read_config(r.objective, section("objective"), "objective");
  require(
      r.learns_rollouts() || !tree.contains("reward"), ErrorKind::kConfig, "reward",
      "{} learns from what stands in its data, so there is nothing to reward; leave the section out, or "
      "set objective.name to grpo, rloo, ppo, reinforce_pp or online_dpo",
      objective_name(r.objective, r.model));
  read_config(r.reward, section("reward"), "reward");
  require(
      r.runs_programs() || !tree.contains("sandbox"), ErrorKind::kConfig, "sandbox",
      "nothing runs programs that the model wrote; leave the section out, or add unit_tests to reward.functions or "
      "python to objective.tools");
  read_config(r.sandbox, section("sandbox"), "sandbox");
  if (tree.contains("adapter")) read_config(r.adapter.emplace(), section("adapter"), "adapter");
  read_config(r.optim, section("optim"), "optim");
  read_config(r.schedule, section("schedule"), "schedule");
  read_config(r.eval, section("eval"), "eval");
  if (!r.from) default_length(r.model, model, r);
  if (r.from && r.learns_answers() && !is_given(tree, "train", "seq_len"))
    r.train.seq_len = std::min(r.train.seq_len, r.model.max_position_embeddings);
  if (r.learns_answers())
    begin_scores(r.model, make_answer_objective(r.objective, r.model)->needs());
  check_together(r);
  return r;
}

Recipe read_recipe(const std::string& path, std::span<const std::string> overrides) {
  return read_recipe(load_recipe(path), overrides);
}

Recipe read_recipe(Json tree, std::span<const std::string> overrides) {
  Json given = Json::object();
  for (const std::string& assignment : overrides) apply_override(given, assignment);
  remove_replaced(tree, given);
  for (const std::string& assignment : overrides) apply_override(tree, assignment);
  return read_recipe(tree);
}

Json write_recipe(const Recipe& r) { return write_config(r); }

}  // namespace lathe
