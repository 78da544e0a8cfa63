// Answers of a model to prompts, drawn while it trains: on the trainer's own weights, in the engine that
// `lathe generate` uses.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/model/adapter/lora_adapter.h"

namespace lathe {

class Engine;

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

// The engine of one draw, in which answers go on turn by turn: what an earlier turn computed of a text is known to
// the next one. Not thread-safe.
class RolloutEngine {
 public:
  // With room for answers to `first` and for what goes on behind each of them, up to its max_tokens in all. The
  // model, whose weights do not change meanwhile, outlives it. `adapter` acts on it, if given. Errors: those of
  // the engine.
  RolloutEngine(const Transformer& model, const std::shared_ptr<const LoraAdapter>& adapter,
                const std::vector<SampleRequest>& first, double temperature);
  ~RolloutEngine();

  // The answers to each request, in order. Errors: kData for prompts that leave no room, those of the engine, and
  // what `stop_if_asked` throws, which is called between passes.
  std::vector<std::vector<SampledAnswer>> answers(const std::vector<SampleRequest>& requests,
                                                  const std::function<void()>& stop_if_asked);

 private:
  const double temperature_;
  const bool adapted_, draws_;  // draws_: not for a plan of memory
  std::unique_ptr<Engine> engine_;
};

}  // namespace lathe
