#include "lathe/train/task/sampling.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/infer/engine.h"

namespace lathe {
namespace {

constexpr const char* kAdapter = "policy";  // of the engine

// Room for all that can run at once. Behind answers each is a request of its own.
EngineOptions options_for(const Transformer& model, const std::vector<SampleRequest>& requests) {
  constexpr int64_t kMostAtOnce = 256, kTokensOfPass = 2048;
  int64_t prompt = 0, answer = 0, whole = 0, answers = 0;
  for (const SampleRequest& each : requests) {
    prompt = std::max(prompt, std::ssize(each.prompt));
    answer = std::max(answer, each.max_tokens);
    whole = std::max(whole, std::ssize(each.prompt) + each.max_tokens);
    answers += each.choices;
  }
  EngineOptions options;
  options.max_sequences = std::min(answers, kMostAtOnce);
  options.max_queue = answers;
  options.token_budget = std::max(kTokensOfPass, options.max_sequences);
  const auto blocks = [&](int64_t tokens) {
    return (tokens + options.block_size - 1) / options.block_size + 1;
  };
  options.cache_tokens = options.block_size * options.max_sequences *
                         blocks(model.config().body_traits().encoder ? answer + 1 : whole);
  options.text_tokens = options.block_size * std::ssize(requests) * blocks(prompt);
  return options;
}

Request request_for(const SampleRequest& wanted, double temperature,
                    std::vector<SampledAnswer>& answers, std::exception_ptr& error) {
  answers.resize(static_cast<size_t>(wanted.choices));
  Request request{.prompt = wanted.prompt};
  request.sampling.max_new_tokens = wanted.max_tokens;
  request.sampling.temperature = temperature;
  request.sampling.seed = static_cast<int64_t>(wanted.stream.key() >> 1);  // not negative
  request.stream = wanted.first_choice;
  request.choices = wanted.choices;
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

// Of a plan of memory, which draws nothing.
std::vector<std::vector<SampledAnswer>> longest_answers(
    const std::vector<SampleRequest>& requests) {
  std::vector<std::vector<SampledAnswer>> all;
  for (const SampleRequest& request : requests) {
    const auto length = static_cast<size_t>(request.max_tokens);
    const SampledAnswer longest{.ids = std::vector<int32_t>(length),
                                .logps = std::vector<double>(length)};
    all.emplace_back(static_cast<size_t>(request.choices), longest);
  }
  return all;
}

}  // namespace

RolloutEngine::RolloutEngine(const Transformer& model,
                             const std::shared_ptr<const LoraAdapter>& adapter,
                             const std::vector<SampleRequest>& first, double temperature)
    : temperature_(temperature),
      adapted_(adapter != nullptr),
      draws_(allocator_of(model.device()).holds_values()) {
  const MemoryLabel label("rollouts");
  engine_ = std::make_unique<Engine>(model, options_for(model, first));
  if (adapted_) engine_->load_adapter(kAdapter, adapter);
}

RolloutEngine::~RolloutEngine() = default;

std::vector<std::vector<SampledAnswer>> RolloutEngine::answers(
    const std::vector<SampleRequest>& requests, const std::function<void()>& stop_if_asked) {
  std::vector<std::vector<SampledAnswer>> all(requests.size());
  std::exception_ptr error;
  const MemoryLabel label("rollouts");
  for (size_t i = 0; i < requests.size(); ++i) {
    Request request = request_for(requests[i], temperature_, all[i], error);
    if (adapted_) request.adapters = {kAdapter};
    const Submission taken = engine_->submit(std::move(request));
    if (taken.refusal)
      fail(
          ErrorKind::kData, requests[i].place,
          "the prompt cannot be answered: {}; lower objective.max_completion_length, or shorten the "
          "prompt",
          taken.refusal->message);
  }
  if (!draws_) {
    engine_->step();
    return longest_answers(requests);
  }
  while (engine_->step()) {
    stop_if_asked();
    if (error != nullptr) std::rethrow_exception(error);
  }
  if (error != nullptr) std::rethrow_exception(error);
  return all;
}

}  // namespace lathe
