#include "lathe/infer/token_chooser.h"

#include <limits>

#include "lathe/base/error.h"
#include "lathe/infer/logprobs.h"

namespace lathe {

TokenChooser::TokenChooser(const Request& request, const SamplerChain& chain, int64_t choice)
    : request_(&request),
      chain_(&chain),
      stream_(Rng(static_cast<uint64_t>(request.sampling.seed))
                  .fork(request.stream + static_cast<uint64_t>(choice))),
      thinking_(request.thinking ? &*request.thinking : nullptr, request.constraint != nullptr) {
  if (request.constraint) matcher_ = request.constraint->matcher();
}

int32_t TokenChooser::next(std::span<float> logits, std::span<const int32_t> new_tokens) {
  if (matcher_) constrain(logits);
  const int32_t token =
      chain_->next(logits, {request_->prompt, new_tokens}, stream_.fork(new_tokens.size()), state_);
  take(token);
  return token;
}

// A thought is free, but for the end of the whole answer: what the constraint asks for has to come.
void TokenChooser::constrain(std::span<float> logits) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  if (thinking_.inside()) {
    for (const int32_t end : request_->constraint->vocabulary().ends())
      if (static_cast<size_t>(end) < logits.size()) logits[static_cast<size_t>(end)] = kNever;
    return;
  }
  float* open =
      thinking_.may_open() ? &logits[static_cast<size_t>(request_->thinking->open)] : nullptr;
  const float of_open = open != nullptr ? *open : kNever;
  keep_allowed(*matcher_->mask(), logits);
  if (open != nullptr) *open = of_open;
}

void TokenChooser::process(std::span<float> logits, std::span<const int32_t> new_tokens) {
  if (matcher_) constrain(logits);
  chain_->process(logits, {request_->prompt, new_tokens});
}

void TokenChooser::score(std::span<float> logits, std::span<const int32_t> new_tokens) {
  const double sum = Logprobs(logits).log_sum();
  for (float& logit : logits) logit = static_cast<float>(logit - sum);
  process(logits, new_tokens);
}

void TokenChooser::take(int32_t token) {
  if (thinking_.take(token)) return;
  require(!matcher_ || matcher_->accept(token), ErrorKind::kNumeric, "constraint",
          "the samplers chose token {}, which the constraint forbids", token);
}

std::vector<int32_t> TokenChooser::forced() {
  std::vector<int32_t> ids = thinking_.forced();
  if (!matcher_ || (ids.empty() && !thinking_.over())) return ids;
  const std::vector<int32_t> of_answer = matcher_->forced_tokens();
  ids.insert(ids.end(), of_answer.begin(), of_answer.end());
  return ids;
}

size_t TokenChooser::allowed(std::span<const int32_t> tokens) {
  if (!matcher_) return tokens.size();
  ThinkingState thinking = thinking_;
  size_t count = 0, of_answer = 0;
  for (; count < tokens.size() && of_answer < Matcher::kHistory; ++count) {
    if (thinking.take(tokens[count])) continue;
    if (!matcher_->accept(tokens[count])) break;
    ++of_answer;
  }
  matcher_->undo(of_answer);
  return count;
}

}  // namespace lathe
