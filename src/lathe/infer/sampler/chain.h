// From one row of logits to one token.
//
// The active samplers of kSamplers run in the order of that catalogue (that of transformers:
// repetition penalty, presence and frequency, DRY, no-repeat n-gram, temperature, top-k, top-p,
// min-p, typical); then one token is drawn from the softmax of the remaining logits, or, with
// temperature 0, the token with the largest logit after the penalties is taken, the lowest id on
// ties.
//
// A chain holds only its configuration: equal arguments give equal tokens, and it may be used by
// many threads.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/infer/sampler/generation_config.h"
#include "lathe/infer/sampler/samplers.h"

namespace lathe {

// What happened at one step, for display.
struct SamplerReport {
  struct Stage {
    std::string_view name;
    int64_t before, after;  // tokens that were still possible
  };
  struct Candidate {
    int32_t id;
    double model_probability;  // before every sampler
    double probability;        // with which it could be drawn
  };
  std::vector<Stage> stages;  // those that ran
  std::vector<Candidate>
      candidates;  // the most likely tokens after the chain, most likely first, lowest id on ties
  int32_t chosen = -1;
};

class SamplerChain {
 public:
  // Throws kConfig for values outside their limits (in a configuration built in code rather than
  // read).
  explicit SamplerChain(GenerationConfig config);

  // The next token. `logits` [V] is overwritten. The draw is rng.uniform64(0): for token i of row r
  // pass root.fork(r).fork(i), so that a row does not depend on the batch it is in. Errors:
  // kNumeric for a logit that is NaN or +inf, or when no token is left; kShape for an empty row.
  int32_t next(std::span<float> logits, std::span<const int32_t> prompt,
               std::span<const int32_t> generated, const Rng& rng) const;

  // The same choice with a report of how it was made, with at most `most` candidates. Slower than
  // next().
  SamplerReport explain(std::span<float> logits, const TokenHistory& history, const Rng& rng,
                        int64_t most) const;

  const GenerationConfig& config() const { return config_; }

 private:
  int32_t run(std::span<float> logits, const TokenHistory& history, const Rng& rng,
              std::vector<SamplerReport::Stage>* stages) const;

  GenerationConfig config_;
};

}  // namespace lathe
