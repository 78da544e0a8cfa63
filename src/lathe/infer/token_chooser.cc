#include "lathe/infer/token_chooser.h"

#include "lathe/base/error.h"
#include "lathe/infer/logprobs.h"

namespace lathe {

TokenChooser::TokenChooser(const Request& request, const SamplerChain& chain, int64_t choice)
    : request_(&request),
      chain_(&chain),
      stream_(Rng(static_cast<uint64_t>(request.sampling.seed))
                  .fork(request.stream + static_cast<uint64_t>(choice))) {
  if (request.constraint) matcher_ = request.constraint->matcher();
}

int32_t TokenChooser::next(std::span<float> logits, std::span<const int32_t> new_tokens) {
  if (matcher_) keep_allowed(*matcher_->mask(), logits);
  const int32_t token =
      chain_->next(logits, {request_->prompt, new_tokens}, stream_.fork(new_tokens.size()), state_);
  take(token);
  return token;
}

void TokenChooser::score(std::span<float> logits, std::span<const int32_t> new_tokens) {
  const double sum = Logprobs(logits).log_sum();
  for (float& logit : logits) logit = static_cast<float>(logit - sum);
  if (matcher_) keep_allowed(*matcher_->mask(), logits);
  chain_->process(logits, {request_->prompt, new_tokens});
}

void TokenChooser::take(int32_t token) {
  require(!matcher_ || matcher_->accept(token), ErrorKind::kNumeric, "constraint",
          "the samplers chose token {}, which the constraint forbids", token);
}

std::vector<int32_t> TokenChooser::forced() {
  return matcher_ ? matcher_->forced_tokens() : std::vector<int32_t>();
}

size_t TokenChooser::allowed(std::span<const int32_t> tokens) {
  if (!matcher_) return tokens.size();
  size_t count = 0;
  while (count < tokens.size() && count < Matcher::kHistory && matcher_->accept(tokens[count]))
    ++count;
  matcher_->undo(count);
  return count;
}

}  // namespace lathe
