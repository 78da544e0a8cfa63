// Thoughts of requests in the engine: which are refused, and how they are ended from outside.
#include <algorithm>

#include "lathe/infer/engine_state.h"

namespace lathe {

void Engine::end_thinking(uint64_t id) {
  const std::lock_guard lock(mutex_);
  inbox_.thought_enough.push_back(id);
}

void Engine::end_thoughts(const std::vector<uint64_t>& jobs) {
  for (const auto& [id, sequence] : sequences_) {
    const Job& job = *sequence->job;
    if (!job.request.thinking || std::ranges::find(jobs, job.id) == jobs.end()) continue;
    sequence->chooser.end_thinking();
    look_ahead(*sequence);
  }
}

std::optional<Refusal> Engine::refuse_thinking(const Request& request) const {
  const Thinking& t = *request.thinking;
  const auto known = [&](int32_t id) { return id >= 0 && id < model_.config().vocab_size; };
  std::string why;
  if (!known(t.open) || !known(t.close) || !std::ranges::all_of(t.ending, known))
    why = fmt::format("its tags have ids outside the vocabulary of {}", model_.config().vocab_size);
  else if (std::ranges::find(t.ending, t.close) == t.ending.end())
    why = "what ends a thought must hold the closing tag";
  else if (t.budget && *t.budget < 0)
    why = fmt::format("the budget is {}, expected at least 0", *t.budget);
  else if (request.sampling.searches())
    why = request.sampling.num_beams > 1
              ? "cannot be bounded in beam search, which forces no tokens; use one beam"
              : "cannot be bounded in contrastive search, which forces no tokens; leave out "
                "penalty_alpha";
  else
    return std::nullopt;
  return Refusal{Refusal::Reason::kInvalid, "thinking", why};
}

}  // namespace lathe
