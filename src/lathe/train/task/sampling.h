// Answers of a model to prompts, drawn while it trains: on the trainer's own weights, in the engine that
// `lathe generate` uses.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/model/adapter/lora_adapter.h"

namespace lathe {

struct SampledAnswer {
  std::vector<int32_t> ids;   // with the token that ended it, if one did
  std::vector<double> logps;  // of each, as the model gave it at temperature 1
  bool ended = false;
};

struct SampleRequest {
  std::vector<int32_t> prompt;
  std::string place;  // of the row, for errors
  int64_t choices = 1, max_tokens = 1;
  Rng stream{0};              // answer c draws from a stream that this and first_choice + c name,
  uint64_t first_choice = 0;  // so it does not depend on the others
};

// The answers to each request, in order, of the model with the adapter, if there is one. Errors: kData for prompts
// that leave no room, those of the engine, and what `stop_if_asked` throws, which is called between passes.
std::vector<std::vector<SampledAnswer>> sample_answers(
    const Transformer& model, const std::shared_ptr<const LoraAdapter>& adapter,
    const std::vector<SampleRequest>& requests, double temperature,
    const std::function<void()>& stop_if_asked);

}  // namespace lathe
