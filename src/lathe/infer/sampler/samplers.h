// The catalogue of samplers: the steps that may change one row of logits between the model and the
// choice of a token.
//
// Each is a pure function in its own file that changes logits in place; a token is removed by
// setting its logit to −inf. The order of the catalogue is the order in which they run, that of
// transformers: first the samplers that use the history, then the temperature, then the filters.
// docs/adding/sampler.md explains how to add one.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "lathe/infer/sampler/generation_config.h"

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

struct SamplerInfo {
  std::string_view name;
  std::string_view keys;     // of GenerationConfig
  std::string_view source;   // paper or program
  std::string_view summary;  // one line
  bool samples_only;         // not run when greedy: it could not change which logit is largest
  bool (*active)(const GenerationConfig& config);
  void (*apply)(const GenerationConfig& config, const TokenHistory& history,
                std::span<float> logits);
};

extern const std::span<const SamplerInfo> kSamplers;

}  // namespace lathe
