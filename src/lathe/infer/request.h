// What the engine is asked for, and what it tells: token ids in, token ids out.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/infer/sampler/generation_config.h"
#include "lathe/infer/thinking.h"
#include "lathe/model/adapter/steering.h"

namespace lathe {

class Constraint;  // constraint/constraint.h

// log softmax of the model's own logits, before any sampler.
struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
};

struct NewToken {
  int64_t choice = 0;
  int64_t index = 0;  // among the new tokens of the choice
  int32_t token = 0;
  // If the request asks for them: that of the token, and of the most likely ones, most likely first,
  // lowest id on ties.
  float logprob = 0;
  std::vector<TokenLogprob> top = {};
};

enum class FinishReason : uint8_t {
  kStopToken,  // one of the ids that end a text, which is the last token
  kLength,     // max_new_tokens
  kStopped,    // on_token returned false
  kCancelled,
  kFailed,  // `error` has what was thrown: by a sampler, by the receiver, by the model
};

// "stop", "length", "stopped", "cancelled", "failed".
std::string_view name_of(FinishReason reason);

struct Finished {
  int64_t choice = 0;
  FinishReason reason = FinishReason::kStopToken;
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompt, which earlier requests had computed
  int64_t new_tokens = 0;
  double beam_score = 0;                            // of beam search (beam_search.h)
  int64_t guessed_tokens = 0, accepted_tokens = 0;  // speculation
  int64_t forced_tokens = 0;                        // by the constraint, without a pass each
  int64_t thinking_tokens = 0;                      // between the tags
  std::exception_ptr error = nullptr;
};

// A text may be longer than the model sees: as soon as it has more than `context` tokens, the older
// half of those behind the first `keep` is lost, and the rest is read again as a text of its own.
struct ContextShift {
  int64_t context = 0;
  int64_t keep = 4;
};

struct Request {
  // An encoder-decoder's prompt is what its encoder reads; a prefix decoder's is its prefix, without
  // a bos_token_id at the end, which starts the answer.
  std::vector<int32_t> prompt;
  // The ids that end a text are those of eos_token_id, or the model's when it names none.
  GenerationConfig sampling = {};
  int64_t choices = 1;
  // Token i of choice c draws from Rng(sampling.seed).fork(stream + c).fork(i).
  uint64_t stream = 0;
  std::optional<int64_t> logprobs = {};  // how many of the most likely tokens are reported
  // What each choice must fit, before any sampler; the end tokens of its vocabulary end the choice.
  std::shared_ptr<const Constraint> constraint = {};
  // What each choice thinks before it answers; the constraint holds behind it.
  std::optional<Thinking> thinking = {};
  // What acts on this text beside the model: adapters by the names under which the engine has them,
  // which add up, and steering vectors.
  std::vector<std::string> adapters = {};
  std::optional<Steering> steering = {};
  bool speculate = true;  // if the engine has a drafter
  // Without it a text ends where a table of positions ends. Plain decoders only, one beam, no guesses.
  std::optional<ContextShift> context_shift = {};
  int64_t priority = 0;      // higher ones go first
  std::string client = {};   // clients of equal priority get equal shares
  bool share_prefix = true;  // uses, and adds to, the cache of prefixes
  // Called on the engine's thread; they must not block, and may be empty. `on_begin`, which must not throw: once, when
  // the request has left the queue. `on_token` ends its choice by returning false.
  std::function<void()> on_begin = {};
  std::function<bool(const NewToken&)> on_token = {};
  std::function<void(const Finished&)> on_finish = {};  // once for each choice, its last call
};

// Why a request was not taken.
struct Refusal {
  enum class Reason : uint8_t {
    kInvalid,        // no prompt, ids outside the vocabulary, a sampler's value outside its limits,
                     // an adapter that is not loaded, steering vectors of another model
    kPromptTooLong,  // for the trained positions, or for the cache
    kTooManyTokens,  // new ones, beyond the room after the prompt
    kQueueFull,
    kStopping,  // the engine takes no more requests
  };
  Reason reason = Reason::kInvalid;
  std::string where, message;  // as of an Error
};

struct Submission {
  uint64_t id = 0;  // from 1; 0 if the request was refused
  std::optional<Refusal> refusal = {};
};

}  // namespace lathe
