// How a sequence goes on after a pass, and how it ends.
#include <algorithm>
#include <chrono>

#include "lathe/base/error.h"
#include "lathe/infer/engine_state.h"
#include "lathe/infer/logprobs.h"

namespace lathe {

std::string_view name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStopToken:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kStopped:
      return "stopped";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kFailed:
      return "failed";
  }
  return "";
}

// Takes the tokens that the logits of a pass give: what is certain, then one after the other as long
// as guesses come true.
void Engine::advance(Sequence& sequence, const LogitRows& logits) {
  const int64_t id = sequence.id, guessed = sequence.guesses(), accepted = sequence.accepted;
  sequence.guessed += guessed;
  try {
    bool goes_on = true;
    while (goes_on) {
      const std::span<float> next = logits.after(sequence.size() - 1);
      const bool certain = sequence.certain > 0;
      if (next.empty() && (!certain || takes_singly(sequence))) break;
      goes_on = certain ? take_certain(sequence, next) : take_next(sequence, next);
    }
    if (!sequences_.contains(id)) return;
    DraftDepth::record(sequence.drafts, guessed, sequence.accepted - accepted);
    if (sequence.shift()) start_over(sequence);
  } catch (...) {  // of the sampler or the receiver
    if (sequences_.contains(id)) finish(id, FinishReason::kFailed, std::current_exception());
  }
}

// Both return whether the logits that follow are those of this text.
bool Engine::take_certain(Sequence& sequence, std::span<const float> logits) {
  const int32_t token = sequence.ahead.front();
  sequence.ahead.erase(sequence.ahead.begin());
  --sequence.certain;
  ++sequence.forced;
  sequence.chooser.take(token);
  {
    const std::lock_guard lock(mutex_);
    ++statistics_.forced_tokens;
  }
  return append(sequence, token, logits);
}

bool Engine::take_next(Sequence& sequence, std::span<float> logits) {
  std::vector<float> raw;
  if (sequence.job->request.logprobs) raw.assign(logits.begin(), logits.end());
  const int32_t token = sequence.chooser.next(logits, sequence.new_tokens());
  const bool came_true = !sequence.ahead.empty() && sequence.ahead.front() == token;
  if (came_true) {
    sequence.ahead.erase(sequence.ahead.begin());
    ++sequence.accepted;
  } else {
    sequence.ahead.clear();
  }
  return append(sequence, token, raw) && look_ahead(sequence) && came_true;
}

// What must come next is computed together with the token before it, guesses or not. Returns whether
// what was computed ahead still holds.
bool Engine::look_ahead(Sequence& sequence) {
  std::vector<int32_t> forced = sequence.chooser.forced();
  if (std::ssize(forced) > sequence.room()) forced.resize(static_cast<size_t>(sequence.room()));
  const auto& ahead = sequence.ahead;
  const bool holds =
      ahead.size() >= forced.size() && std::equal(forced.begin(), forced.end(), ahead.begin());
  sequence.certain = std::ssize(forced);
  if (!holds) sequence.ahead = std::move(forced);
  return holds;
}

// Adds a token to the text; false if it was the last one.
bool Engine::append(Sequence& sequence, int32_t token, std::span<const float> raw) {
  const int64_t id = sequence.id;
  sequence.text.push_back(token);
  sequence.answer.push_back(token);
  const auto reason = why_it_ends(sequence, deliver(sequence, token, raw));
  if (reason) finish(id, *reason);
  return !reason;
}

// Nothing if the text goes on behind its last token; `wanted` is what the receiver says.
std::optional<FinishReason> Engine::why_it_ends(const Sequence& sequence, bool wanted) const {
  const std::vector<int64_t>& ends = sequence.job->ends;
  if (std::ranges::find(ends, sequence.text.back()) != ends.end() || sequence.chooser.finished())
    return FinishReason::kStopToken;
  if (!wanted) return FinishReason::kStopped;
  if (sequence.room() <= 0) return FinishReason::kLength;
  return std::nullopt;
}

bool Engine::deliver(const Sequence& sequence, int32_t token, std::span<const float> raw) {
  const Request& request = sequence.job->request;
  {
    const std::lock_guard lock(mutex_);
    ++statistics_.new_tokens;
  }
  if (!request.on_token) return true;
  NewToken event{
      .choice = sequence.choice, .index = std::ssize(sequence.new_tokens()) - 1, .token = token};
  if (request.logprobs) {
    const Logprobs all(raw);
    event.logprob = all.of(token);
    event.top = all.top(*request.logprobs);
  }
  return request.on_token(event);
}

std::optional<Draft> Engine::draft_of(Sequence& sequence, int64_t decoding) {
  const int64_t most =
      std::min(depth_.choose(sequence.drafts, decoding), sequence.room() - sequence.certain - 1);
  if (most <= 0 || sequence.job->request.context_shift) return std::nullopt;
  Draft draft{.sequence = sequence.id,
              .text = joined(sequence.text, sequence.ahead),
              .begin = sequence.text.size() - sequence.answer.size(),
              .most = most,
              .chooser = sequence.chooser};
  if (model_.config().body_traits().encoder) draft.encoder_text = sequence.job->request.prompt;
  for (const int32_t token : sequence.ahead) draft.chooser.take(token);
  if (draft.chooser.finished()) return std::nullopt;
  return draft;
}

// Asks the drafter for the sequences that decode.
void Engine::guess() {
  if (!drafter_) return;
  std::vector<Sequence*> decoding;
  for (const auto& [id, sequence] : sequences_) {
    sequence->drop_guesses();
    if (sequence->cache && !sequence->leads && !sequence->job->beams &&
        cache_.length(*sequence->cache) + 1 == sequence->size())
      decoding.push_back(sequence.get());
  }
  std::vector<Draft> drafts;
  for (Sequence* sequence : decoding)
    if (sequence->job->request.speculate)
      if (auto draft = draft_of(*sequence, std::ssize(decoding)))
        drafts.push_back(std::move(*draft));
  if (drafts.empty()) return;
  const auto start = std::chrono::steady_clock::now();
  try {
    drafter_->guess(drafts);
  } catch (...) {
    for (const Draft& draft : drafts)
      finish(draft.sequence, FinishReason::kFailed, std::current_exception());
    return;
  }
  int64_t guesses = 0;
  for (const Draft& draft : drafts)
    guesses += take_guesses(*sequences_.at(draft.sequence), draft.guesses);
  if (guesses > 0) depth_.drafted(guesses, seconds_since(start));
}

// As many as are tokens of the model and fit the constraint.
int64_t Engine::take_guesses(Sequence& sequence, std::span<const int32_t> guesses) {
  const auto unknown = std::ranges::find_if(
      guesses, [&](int32_t id) { return id < 0 || id >= model_.config().vocab_size; });
  auto& ahead = sequence.ahead;
  ahead.insert(ahead.end(), guesses.begin(), unknown);
  ahead.resize(sequence.chooser.allowed(ahead));
  return sequence.guesses();
}

Finished Engine::ended(const Job& job, int64_t choice) const {
  Finished end{.choice = choice};
  end.prompt_tokens = std::ssize(job.request.prompt);
  end.cached_tokens = std::max<int64_t>(0, job.cached_tokens);
  return end;
}

void Engine::tell(const Job& job, const Finished& end) {
  {
    const std::lock_guard lock(mutex_);
    ++statistics_.finished;
    statistics_.guessed_tokens += end.guessed_tokens;
    statistics_.accepted_tokens += end.accepted_tokens;
  }
  if (job.request.on_finish) job.request.on_finish(end);
}

void Engine::finish(int64_t id, FinishReason reason, std::exception_ptr error) {
  if (const auto job = sequences_.at(id)->job; job->beams) return drop_beams(job, reason, error);
  const auto node = sequences_.extract(id);
  Sequence& sequence = *node.mapped();
  if (sequence.cache) publish(sequence, sequence.size() - 1);
  start_over(sequence);
  if (drafter_) drafter_->forget(id, sequence.text);
  scheduler_.remove(id);
  const Job& job = *sequence.job;
  // The choices that wait for this one to read the prompt end with it.
  std::vector<int64_t> followers;
  if (sequence.leads && sequence.choice == 0)
    for (const auto& [other, each] : sequences_)
      if (each->job == sequence.job) followers.push_back(other);
  Finished end = ended(job, sequence.choice);
  end.reason = reason;
  end.new_tokens = std::ssize(sequence.new_tokens());
  end.guessed_tokens = sequence.guessed;
  end.accepted_tokens = sequence.accepted;
  end.forced_tokens = sequence.forced;
  end.thinking_tokens = sequence.chooser.thinking_tokens();
  end.error = error;
  tell(job, end);
  for (const int64_t other : followers) finish(other, reason, error);
}

}  // namespace lathe
