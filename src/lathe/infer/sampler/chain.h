// From one row of logits to one token.
//
// The active samplers run in the order of kSamplers, or that of the key sampler_order; then one token
// is drawn from the softmax of the remaining logits, or, with temperature 0, the token with the
// largest logit after the penalties is taken, the lowest id on ties. After the draw the samplers
// that keep a state see what was drawn.
//
// A chain holds only its configuration, and each sequence its own SamplerState: equal arguments give
// equal tokens and states, and a chain may be used by many threads.
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
  // read) and for a sampler_order with unknown or repeated names, without a sampler that another key
  // turns on, or with one behind Mirostat.
  explicit SamplerChain(GenerationConfig config);

  // The next token. `logits` [V] is overwritten. The draw is rng.uniform64(0): for token i of row r
  // pass root.fork(r).fork(i), so that a row does not depend on the batch it is in. `state` is that
  // of the sequence, and is updated. Errors, which leave the state as it was: kNumeric for a logit
  // that is NaN or +inf, or when no token is left; kShape for an empty row; kConfig for a logit_bias
  // of a token outside the row.
  int32_t next(std::span<float> logits, const TokenHistory& history, const Rng& rng,
               SamplerState& state) const;

  // The same choice with a report of how it was made, with at most `most` candidates. Slower than
  // next().
  SamplerReport explain(std::span<float> logits, const TokenHistory& history, const Rng& rng,
                        SamplerState& state, int64_t most) const;

  // What the samplers make of a row, without a choice: for beam search, of log-probabilities. Errors:
  // as next().
  void process(std::span<float> row, const TokenHistory& history) const;

  const GenerationConfig& config() const { return config_; }

 private:
  int32_t run(std::span<float> logits, const TokenHistory& history, const Rng& rng,
              SamplerState& state, std::vector<SamplerReport::Stage>* stages) const;
  int32_t choose(std::span<const float> logits, const Rng& rng) const;

  GenerationConfig config_;
  std::vector<const SamplerInfo*> samplers_;  // those that run, in this order
};

}  // namespace lathe
