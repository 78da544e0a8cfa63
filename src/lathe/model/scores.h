// Models with scores that begin from models that predict tokens: reward models and critics.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "lathe/base/log.h"
#include "lathe/base/rng.h"
#include "lathe/model/transformer.h"

namespace lathe {

// What a model has in place of an output head.
struct ScoreShape {
  int64_t labels = 1;
  bool bias = false;  // as token classifiers have it
};

// Whether a model of this configuration has scores and the folder's has none; the configuration of the latter, and a
// line that says so. Errors: those of read_model_config().
bool begins_scores(const ModelConfig& config, const std::filesystem::path& folder);
ModelConfig without_scores(ModelConfig config, const std::filesystem::path& folder);
std::string scores_begin(const std::filesystem::path& folder, const ModelConfig& config);
// Fills `model`, which has memory, from a folder. Where begins_scores(), its scores begin small and random, drawn
// from `rng`, and everything else is the folder's. Errors: those of load_weights().
void load_or_begin_scores(Transformer& model, const std::string& folder, const Rng& rng,
                          const Log& log);

// A model with scores in place of a head, which begin small and random, drawn from `rng`. All else it
// shares with `base`: it takes no memory, and what changes there changes here.
std::unique_ptr<Transformer> share_with_scores(Transformer& base, const ScoreShape& scores,
                                               const Rng& rng);

// What a model file calls the module that gives the scores: "score", "classifier".
std::string score_module(Transformer& model);

// The scores that the folder of an adapter has values of, as PEFT saves those of a classifier: a reward
// model's adapter, whose base predicts tokens. No labels for an adapter without any. Errors: those of
// SafetensorsReader.
ScoreShape scores_of_adapter(const std::filesystem::path& folder);

}  // namespace lathe
