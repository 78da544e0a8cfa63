// A whole training run as data: the sections of a recipe file.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "lathe/config/visit.h"
#include "lathe/model/config.h"
#include "lathe/model/transformer.h"
#include "lathe/optim/config.h"
#include "lathe/optim/schedule.h"
#include "lathe/train/objective/objective.h"

namespace lathe {

struct DataConfig {
  std::string train;
  std::optional<std::string> valid;
  std::string order = "shuffle";
  bool document_mask = false;
  std::optional<std::string> tokenizer;

  template <class V>
  void visit(V& v) {
    v.field("train", train, "token shard to learn from: the prefix of a .bin and .idx", required());
    v.field("valid", valid, "token shard to validate on");
    v.choice("order", order, {"shuffle", "sequential"}, "how samples follow each other");
    v.field("document_mask", document_mask,
            "tokens see only their own document, positions restart in each, and no loss crosses a "
            "border");
    v.field("tokenizer", tokenizer,
            "tokenizer of the shards: for samples, bits per byte, and the finished folder");
  }
};

struct TrainConfig {
  int64_t steps = 1000;
  int64_t batch_size = 8;
  int64_t grad_accumulation = 1;
  int64_t seq_len = 512;
  std::string precision = "bf16";
  std::string recompute = "selective";
  std::string device = "cpu";
  int64_t seed = 1;
  std::string out = "runs/train";
  int64_t checkpoint_every = 500;
  int64_t keep_last = 2;
  int64_t keep_every = 0;
  int64_t eval_every = 250;
  int64_t eval_batches = 16;
  int64_t sample_every = 0;
  std::string sample_prompt = "The";
  int64_t sample_tokens = 48;
  double ema_decay = 0.0;
  double spike_skip = 0.0;

  template <class V>
  void visit(V& v) {
    v.field("steps", steps, "optimiser steps", at_least(1));
    v.field("batch_size", batch_size, "sequences in one micro-batch", between(1, 1 << 20));
    v.field("grad_accumulation", grad_accumulation, "micro-batches whose gradients make one step",
            between(1, 1 << 20));
    v.field("seq_len", seq_len, "tokens of a sequence", at_least(1));
    v.choice("precision", precision, {"bf16", "fp32"},
             "arithmetic of the model; master weights and optimiser are fp32 in both");
    v.choice("recompute", recompute, {"none", "selective", "full"},
             "activations made again in the backward: less memory, more time");
    v.choice("device", device, {"cpu", "ref"}, "ref: scalar double precision, for checking");
    v.field("seed", seed, "of weights, order and dropout", at_least(0));
    v.field("out", out, "folder of the run");
    v.field("checkpoint_every", checkpoint_every,
            "steps between checkpoints; 0 writes only the last", at_least(0));
    v.field("keep_last", keep_last, "newest checkpoints that are kept", at_least(1));
    v.field("keep_every", keep_every,
            "checkpoints at multiples of this step are kept for good; 0 keeps none", at_least(0));
    v.field("eval_every", eval_every, "steps between validations; 0 validates only at the end",
            at_least(0));
    v.field("eval_batches", eval_batches, "micro-batches of one validation, always the same",
            at_least(1));
    v.field("sample_every", sample_every, "steps between sample texts; 0 writes none", at_least(0));
    v.field("sample_prompt", sample_prompt, "how a sample text begins");
    v.field("sample_tokens", sample_tokens, "tokens of a sample text", at_least(1));
    v.field(
        "ema_decay", ema_decay,
        "decay of an average of the weights, used for validation and the finished model; 0 is off",
        Limits{.minimum = 0, .maximum = 1, .exclusive_maximum = true});
    v.field("spike_skip", spike_skip,
            "skip a step whose loss is this many standard deviations above its running mean; 0 "
            "never skips",
            at_least(0));
  }
};

struct Recipe {
  std::optional<std::string> from;  // folder whose weights the run begins with
  ModelConfig model;
  DataConfig data;
  TrainConfig train;
  ObjectiveConfig objective;
  OptimConfig optim;
  ScheduleConfig schedule;

  DType compute_dtype() const;
  Device compute_device() const;
  Recompute recompute() const;
};

// From the tree of a recipe file with overrides applied. Error kConfig for unknown sections or
// keys, and for combinations that cannot work, with what to write instead.
Recipe read_recipe(const nlohmann::ordered_json& tree);
nlohmann::ordered_json write_recipe(const Recipe& recipe);

}  // namespace lathe
