// What the engine keeps of a request and of each of its choices. Only the engine's own sources
// include it.
#pragma once

#include <algorithm>
#include <chrono>
#include <variant>

#include "lathe/infer/beam_search.h"
#include "lathe/infer/contrastive_search.h"
#include "lathe/infer/engine.h"
#include "lathe/infer/speculation/draft_depth.h"
#include "lathe/infer/token_chooser.h"

namespace lathe {

// A search: its open texts, the beams or candidates, in their order, and what has come of them for
// the next step.
struct Engine::Beams {
  struct Row {
    std::vector<float> logits;
    double cosine = 0;  // of contrastive search: largest_cosine()
  };
  std::variant<BeamSearch, ContrastiveSearch> search;
  std::vector<int64_t> sequences = {};
  std::map<int64_t, Row> rows = {};  // by sequence
  int64_t told = 0;                  // tokens that the receiver has got

  bool contrastive() const { return std::holds_alternative<ContrastiveSearch>(search); }
  BeamSearch& beam_search() { return std::get<BeamSearch>(search); }
};

struct Engine::Job {
  uint64_t id = 0;
  Request request;
  SamplerChain chain;
  std::vector<int64_t> ends = {};  // tokens that end a text
  int64_t prefix = 0;              // tokens at the beginning that see each other
  int64_t cached_tokens = -1;      // until it begins
  std::unique_ptr<Beams> beams = {};
  Adaptation adaptation = {};
  std::string adaptation_identity = {};
  PrefixIndex::Link root = {};  // of its prefixes
};

struct Engine::Sequence {
  int64_t id = 0;
  std::shared_ptr<Job> job;
  int64_t choice = 0;
  bool leads = false;                // its first logits are those of all choices
  std::vector<int32_t> text = {};    // what the decoder sees: a beginning, then the new tokens
  std::vector<int32_t> answer = {};  // the new tokens; also those that the text has lost again
  // What is computed before it belongs to the text: first `certain` tokens, which the constraint or
  // the end of a thought forces, then guesses.
  std::vector<int32_t> ahead = {};
  int64_t certain = 0;
  std::optional<PagedCache::Id> cache = {};
  bool read_text = false;  // the encoder has
  TokenChooser chooser;
  DraftRecord drafts = {};
  int64_t guessed = 0, accepted = 0, forced = 0;  // tokens, for Finished

  std::span<const int32_t> new_tokens() const { return answer; }
  int64_t size() const { return static_cast<int64_t>(text.size()); }
  int64_t guesses() const { return static_cast<int64_t>(ahead.size()) - certain; }
  void drop_guesses() { ahead.resize(static_cast<size_t>(certain)); }
  // How many more tokens the choice may get.
  int64_t room() const;
  // Shortens a text that has outgrown the request's window (ContextShift); whether it had to.
  bool shift();
};

inline int64_t Engine::Sequence::room() const {
  return job->request.sampling.max_new_tokens - static_cast<int64_t>(new_tokens().size());
}

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

inline bool Engine::Sequence::shift() {
  const auto& window = job->request.context_shift;
  if (!window || size() <= window->context) return false;
  const int64_t most = size() - window->keep;
  const int64_t lost = std::max(most / 2, size() - window->context);
  text.erase(text.begin() + window->keep, text.begin() + window->keep + lost);
  return true;
}

// The logits of one sequence after a pass: those that follow its tokens from number `first` on.
struct Engine::LogitRows {
  int64_t first = 0;
  std::vector<std::span<float>> rows = {};

  // Those that follow token number `position`; empty if they were not computed.
  std::span<float> after(int64_t position) const {
    const bool has = position >= first && position - first < std::ssize(rows);
    return has ? rows[static_cast<size_t>(position - first)] : std::span<float>();
  }
};

// A pass that has been computed.
struct Engine::Computed {
  Rows rows;
  Tensor hidden;              // [N,C]
  Tensor logits;              // [B,V] f32, of those that were wanted; undefined if none was
  std::vector<LogitRows> of;  // each share's
};

}  // namespace lathe
