// The catalogue of samplers: what can happen to one row of logits between the model and the choice
// of a token.
//
// Each is a pure function in a file of its own that changes logits in place; a token is taken out
// by setting its logit to −inf. The order of the catalogue is the order in which they run, that of
// transformers: first what looks at the history, then the temperature, then the filters. To add
// one: docs/adding/sampler.md.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "lathe/infer/sampler/generation_config.h"

namespace lathe {

// The tokens so far. Ids outside the row are allowed and change nothing (a vocabulary may be
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
