// Models with scores that begin from models that predict tokens: reward models and critics.
#pragma once

#include <memory>
#include <string>

#include "lathe/base/log.h"
#include "lathe/base/rng.h"
#include "lathe/model/transformer.h"

namespace lathe {

// Fills `model`, which has memory, from a folder. Where it has scores and the folder's model has none,
// they begin small and random, drawn from `rng`, and everything else is the folder's. Errors: those of
// load_weights().
void load_or_begin_scores(Transformer& model, const std::string& folder, const Rng& rng,
                          const Log& log);

// A model with one score in place of a head, which begins small and random, drawn from `rng`. All else
// it shares with `base`: it takes no memory, and what changes there changes here.
std::unique_ptr<Transformer> share_with_score(Transformer& base, const Rng& rng);

// What a model file calls the module that gives the scores: "score", "classifier".
std::string score_module(Transformer& model);

}  // namespace lathe
