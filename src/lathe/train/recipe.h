// A whole training run as data: the sections of a recipe file.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>

#include "lathe/config/visit.h"
#include "lathe/io/sandbox/python.h"
#include "lathe/model/adapter/adapter_config.h"
#include "lathe/model/model_config.h"
#include "lathe/model/transformer.h"
#include "lathe/optim/optimizers.h"
#include "lathe/optim/schedule.h"
#include "lathe/train/in_run_evaluation_config.h"
#include "lathe/train/objectives.h"
#include "lathe/train/reward/reward_config.h"

namespace lathe {

struct DataConfig {
  std::vector<std::string> train;  // parse_shard_choice()
  std::vector<std::string> valid;  // parse_named_shard(); the first one decides
  std::string order = "shuffle";
  bool document_mask = false;
  std::optional<std::string> tokenizer;
  bool packing = false;
  std::string truncation_mode = "drop";
  bool mask_history = false;
  std::string step_separator = "\n";
  std::vector<std::string> replay;  // parse_shard_choice()
  double replay_share = 0.1;
  std::vector<std::string> replay_valid;  // parse_named_shard()

  void visit(Visitor& v);
};

struct TrainConfig {
  int64_t steps = 1000;
  std::optional<std::string> budget;  // train/budget.h; unset once it has been converted to steps
  int64_t batch_size = 8;
  int64_t grad_accumulation = 1;
  int64_t batch_ramp = 0;
  int64_t seq_len = 512;
  std::string precision = "bf16";
  std::optional<std::string> quantize;
  std::string recompute = "selective";
  std::string device = "cpu";
  int64_t seed = 1;
  std::string out = "runs/train";
  int64_t checkpoint_every = 500;
  int64_t keep_last = 2;
  int64_t keep_every = 0;
  bool keep_best = false;
  int64_t patience = 0;
  int64_t eval_every = 250;
  bool eval_on_start = false;
  int64_t eval_samples = 128;
  std::optional<int64_t> eval_batches;
  int64_t sample_every = 0;
  std::string sample_prompt = "The";
  int64_t sample_tokens = 48;
  double ema_decay = 0.0;
  double spike_skip = 0.0;
  int64_t max_skipped = 50;
  double neftune_noise_alpha = 0.0;

  void visit(Visitor& v);
};

// Keys of [model] for the base of an adapter.
struct BaseQuantisation {
  std::string quantization = "none";
  bool double_quant = false;
  void visit(Visitor& v);
};

// The section [adapter]: the keys of adapter_config.json, or a folder to go on from.
struct AdapterSection {
  std::optional<std::string> from;
  AdapterConfig config;
  void visit(Visitor& v);
};

struct Recipe {
  std::optional<std::string> from;  // folder whose weights the run starts from
  BaseQuantisation base;            // of the model below an adapter
  ModelConfig model;
  DataConfig data;
  TrainConfig train;
  ObjectiveConfig objective;
  OptimConfig optim;
  ScheduleConfig schedule;
  RewardConfig reward;
  SandboxConfig sandbox;
  InRunEvalConfig eval;
  std::optional<AdapterSection> adapter;  // what is trained, if not the model

  // Every section. For a model that starts `from` a folder, only the keys that may be set together
  // with that.
  void visit(Visitor& v);

  // The number of samples of one validation; 0: all.
  int64_t validation_samples() const {
    return train.eval_batches ? *train.eval_batches * train.batch_size : train.eval_samples;
  }
  DType compute_dtype() const;
  Device compute_device() const;
  Recompute recompute() const;
  // Whether it learns from prompts and answers (train/objective/) and not from running text.
  bool learns_answers() const;
  // Whether the answers are its own, drawn while it trains and judged by [reward].
  bool learns_rollouts() const;
  // Whether programs that the model wrote run, in the [sandbox].
  bool runs_programs() const;
  // The tokenizer of rows of words: data.tokenizer, or that of model.from.
  std::optional<std::string> tokenizer() const;
};

// Reads the tree of a recipe file with overrides applied. Throws kConfig for unknown sections or
// keys, and for combinations that cannot work, with what to write instead.
Recipe read_recipe(const nlohmann::ordered_json& tree);
// The same after `section.key=value` was applied to the tree: a key replaces another key of the file that
// sets the same thing in other units (train.budget, train.steps).
Recipe read_recipe(nlohmann::ordered_json tree, std::span<const std::string> overrides);
Recipe read_recipe(const std::string& path, std::span<const std::string> overrides);
// Writes every key; read_recipe() returns an equal recipe.
nlohmann::ordered_json write_recipe(const Recipe& recipe);

}  // namespace lathe
