#include "lathe/train/task/sampling.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/infer/engine.h"

namespace lathe {
namespace {

constexpr const char* kAdapter = "policy";  // of the engine

// Room for all that can run at once.
EngineOptions options_for(const Transformer& model, const std::vector<const Example*>& prompts,
                          const RolloutConfig& config) {
  constexpr int64_t kMostAtOnce = 256, kTokensOfPass = 2048;
  int64_t longest = 0;
  for (const Example* prompt : prompts) longest = std::max(longest, std::ssize(prompt->prompt));
  EngineOptions options;
  options.max_sequences = std::min(std::ssize(prompts) * config.num_generations, kMostAtOnce);
  options.max_queue = std::ssize(prompts);
  options.token_budget = std::max(kTokensOfPass, options.max_sequences);
  const auto blocks = [&](int64_t tokens) {
    return (tokens + options.block_size - 1) / options.block_size + 1;
  };
  const int64_t answer = config.max_completion_length;
  options.cache_tokens = options.block_size * options.max_sequences *
                         blocks(answer + (model.config().body_traits().encoder ? 1 : longest));
  options.text_tokens = options.block_size * std::ssize(prompts) * blocks(longest);
  return options;
}

Request request_for(const Example& prompt, const RolloutConfig& config, const Rng& stream,
                    std::vector<SampledAnswer>& answers, std::exception_ptr& error) {
  answers.resize(static_cast<size_t>(config.num_generations));
  Request request{.prompt = prompt.prompt};
  request.sampling.max_new_tokens = config.max_completion_length;
  request.sampling.temperature = config.temperature;
  request.sampling.seed = static_cast<int64_t>(stream.key() >> 1);  // not negative
  request.choices = config.num_generations;
  request.logprobs = 0;
  request.on_token = [&answers](const NewToken& token) {
    SampledAnswer& answer = answers[static_cast<size_t>(token.choice)];
    answer.ids.push_back(token.token);
    answer.logps.push_back(token.logprob);
    return true;
  };
  request.on_finish = [&answers, &error](const Finished& end) {
    answers[static_cast<size_t>(end.choice)].ended = end.reason == FinishReason::kStopToken;
    if (end.error != nullptr) error = end.error;
  };
  return request;
}

}  // namespace

std::vector<std::vector<SampledAnswer>> sample_answers(
    const Transformer& model, const std::shared_ptr<const LoraAdapter>& adapter,
    const std::vector<const Example*>& prompts, const RolloutConfig& config,
    const std::vector<Rng>& streams, const std::function<void()>& stop_if_asked) {
  std::vector<std::vector<SampledAnswer>> all(prompts.size());
  std::exception_ptr error;
  Engine engine(model, options_for(model, prompts, config));
  if (adapter != nullptr) engine.load_adapter(kAdapter, adapter);
  for (size_t i = 0; i < prompts.size(); ++i) {
    Request request = request_for(*prompts[i], config, streams[i], all[i], error);
    if (adapter != nullptr) request.adapters = {kAdapter};
    const Submission taken = engine.submit(std::move(request));
    if (taken.refusal)
      fail(
          ErrorKind::kData, prompts[i]->place,
          "the prompt cannot be answered: {}; lower objective.max_completion_length, or shorten the "
          "prompt",
          taken.refusal->message);
  }
  while (engine.step()) {
    stop_if_asked();
    if (error != nullptr) std::rethrow_exception(error);
  }
  if (error != nullptr) std::rethrow_exception(error);
  return all;
}

}  // namespace lathe
