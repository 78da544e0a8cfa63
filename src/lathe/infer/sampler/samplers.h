// The catalogue of samplers: the steps that may change one row of logits between the model and the
// choice of a token.
//
// Each is a function in its own file that changes logits in place; a token is removed by setting
// its logit to −inf. The order of the catalogue is the order in which they run unless the key
// sampler_order gives another: first those that use the history, then the temperature, then the
// filters, as in transformers. What a sampler keeps from one draw to the next is in the
// SamplerState of the sequence. docs/adding/sampler.md explains how to add one.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "lathe/base/rng.h"
#include "lathe/infer/sampler/generation_config.h"
#include "lathe/infer/sampler/mirostat.h"

namespace lathe {

// The tokens so far. Ids outside the row are allowed and have no effect (a vocabulary may be
// padded).
struct TokenHistory {
  std::span<const int32_t> prompt;
  std::span<const int32_t> generated;

  size_t size() const { return prompt.size() + generated.size(); }
  int32_t operator[](size_t i) const {
    return i < prompt.size() ? prompt[i] : generated[i - prompt.size()];
  }
};

// What the samplers keep of one sequence. A sequence begins with a new one; a copy of a sequence (a
// beam, a sample that shares a beginning) copies it.
struct SamplerState {
  MirostatState mirostat;
};

// One draw of one sequence.
struct SamplerStep {
  const TokenHistory& history;
  const Rng& rng;  // of this draw; a sampler that draws forks it by its own name
  SamplerState& state;
};

struct SamplerInfo {
  std::string_view name;
  std::string_view keys;     // of GenerationConfig
  std::string_view source;   // paper or program
  std::string_view summary;  // one line
  bool samples_only;         // not run when greedy: it could not change which logit is largest
  bool (*active)(const GenerationConfig& config);
  void (*apply)(const GenerationConfig& config, const SamplerStep& step, std::span<float> logits);
  // Of a sampler with state, which must be the last of the chain: told the logit of the token that
  // was drawn from the row that it left.
  void (*observe)(const GenerationConfig& config, float logit, SamplerState& state) = nullptr;
};

extern const std::span<const SamplerInfo> kSamplers;

// The first sampler that the configuration turns on although nothing is drawn where it searches
// (GenerationConfig::searches), so that it would have no effect; nullptr if there is none.
const SamplerInfo* sampler_without_effect(const GenerationConfig& config);

}  // namespace lathe
