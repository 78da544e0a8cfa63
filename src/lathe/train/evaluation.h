// The loss of a model over a token shard, in total and by position in the text. A model that Lathe
// trained is evaluated in the same way as the validation in training. Position t of a sample has t
// tokens before it: a model that was trained on shorter texts shows here what it does with longer
// ones.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/config/visit.h"
#include "lathe/train/validation.h"

namespace lathe {

struct EvaluationConfig {
  std::string model, data;           // which visit() does not have,
  std::vector<std::string> adapter;  // nor these folders; several act one after the other
  std::optional<int64_t> seq_len, samples;
  int64_t batch_size = 8, buckets = 16;

  template <class V>
  void visit(V& v) {
    v.field("seq_len", seq_len,
            "tokens per sample (default: the length that the model was trained with, else its "
            "max_position_embeddings); may be larger than that",
            at_least(1));
    v.field("samples", samples,
            "samples to read from the beginning of the shard; 0 reads all (default: as many as the "
            "validations in training; all with --seq-len or for a model trained elsewhere)",
            at_least(0));
    v.field("batch_size", batch_size, "samples per batch", between(1, 1 << 20));
    v.field("buckets", buckets, "ranges of positions to report the loss of", at_least(1));
  }
};

struct Evaluation {
  int64_t seq_len = 0, samples = 0, samples_in_shard = 0;
  ValidationLoss loss;

  nlohmann::ordered_json to_json(const EvaluationConfig& config) const;
};

// Called with the number of samples that are done and the total; may throw, which ends the
// evaluation.
using EvaluationProgress = std::function<void(int64_t done, int64_t all)>;

// Computes in fp32. Errors: kConfig for a model with another body than a decoder that does not say
// how it was trained, and those of reading the model, the adapters and the shard.
Evaluation evaluate(const EvaluationConfig& config, const Log& log,
                    const EvaluationProgress& progress = {});

}  // namespace lathe
