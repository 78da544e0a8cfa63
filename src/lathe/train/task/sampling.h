// Answers of a model to prompts, drawn while it trains: on the trainer's own weights, in the engine that
// `lathe generate` uses.
#pragma once

#include <functional>
#include <vector>

#include "lathe/model/adapter/lora_adapter.h"
#include "lathe/train/example/example.h"
#include "lathe/train/objective/rollout_config.h"

namespace lathe {

struct SampledAnswer {
  std::vector<int32_t> ids;   // with the token that ended it, if one did
  std::vector<double> logps;  // of each, as the model gave it at temperature 1
  bool ended = false;
};

// num_generations answers to each prompt, in order, of the model with the adapter, if there is one. Answer c to
// prompt i draws from a stream that streams[i] and c name, so it does not depend on the others. Errors: kData for prompts that leave no room, those of
// the engine, and what `stop_if_asked` throws, which is called between passes.
std::vector<std::vector<SampledAnswer>> sample_answers(
    const Transformer& model, const std::shared_ptr<const LoraAdapter>& adapter,
    const std::vector<const Example*>& prompts, const RolloutConfig& config,
    const std::vector<Rng>& streams, const std::function<void()>& stop_if_asked);

}  // namespace lathe
