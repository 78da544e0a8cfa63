// How one choice of a request gets its tokens from logits: the constraint, the samplers, the random
// stream. A copy goes on apart, so a draft can choose as its sequence would.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "lathe/constraint/constraint.h"
#include "lathe/infer/request.h"
#include "lathe/infer/sampler/chain.h"

namespace lathe {

// Not thread-safe.
class TokenChooser {
 public:
  // The request and the chain must outlive it.
  TokenChooser(const Request& request, const SamplerChain& chain, int64_t choice);

  // Token number new_tokens.size() of the choice, from its logits [V], which are overwritten. Errors:
  // those of the samplers; kNumeric if they choose what the constraint forbids.
  int32_t next(std::span<float> logits, std::span<const int32_t> new_tokens);
  // What is left of logits [V] for a search: what the constraint forbids gets −inf, and the samplers
  // that do not draw act. Chooses nothing.
  void process(std::span<float> logits, std::span<const int32_t> new_tokens);
  // Makes of logits [V] the log-probabilities that beam search adds up: the softmax, then process().
  void score(std::span<float> logits, std::span<const int32_t> new_tokens);
  // Takes a token that was chosen elsewhere: one that is forced, or of a beam.
  void take(int32_t token);

  // What must follow, token by token: the end of a thought, what the constraint leaves no choice of.
  std::vector<int32_t> forced();
  void end_thinking() { thinking_.end(); }
  int64_t thinking_tokens() const { return thinking_.tokens(); }
  // How many of these tokens the constraint allows, one after the other.
  size_t allowed(std::span<const int32_t> tokens);
  bool finished() const { return matcher_ && matcher_->finished(); }  // the constraint has ended

 private:
  void constrain(std::span<float> logits);

  const Request* request_;
  const SamplerChain* chain_;
  Rng stream_;
  std::optional<Matcher> matcher_;
  ThinkingState thinking_;
  SamplerState state_;  // what samplers remember of the tokens so far
};

}  // namespace lathe
