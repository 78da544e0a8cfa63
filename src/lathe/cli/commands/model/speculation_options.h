// The options that say how tokens are guessed.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lathe/cli/frame/command.h"
#include "lathe/config/visit.h"
#include "lathe/infer/engine.h"
#include "lathe/infer/speculation/speculation.h"
#include "lathe/model/load_model.h"

namespace lathe {

struct SpeculationOptions {
  std::string speculate = "none";
  std::optional<std::string> draft;
  int64_t draft_tokens = 16;

  void visit(Visitor& v);
  bool given() const { return speculate != "none" || draft; }

  // What the options ask for, with the draft model that it may need: it must outlive the engine. `model` is what was
  // loaded from `path`. Errors: kUsage for both ways at once; kData for a draft with another vocabulary, and those of
  // reading it.
  Speculation load(const std::string& path, const Transformer& model, DType dtype,
                   QuantisedWeights weights, const Log& log) const;
};

// "speculation: 81 of 96 guesses were right, 3.4 tokens a pass".
std::string describe_guesses(int64_t guessed, int64_t accepted, int64_t new_tokens, int64_t passes);

}  // namespace lathe
