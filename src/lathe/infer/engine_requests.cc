// Which requests the engine takes, on the thread that submits them.
#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/infer/engine_state.h"

namespace lathe {
namespace {

// How many tokens of a prompt a prefix decoder sees from everywhere. A beginning-of-text token at
// the end begins the answer (ChatGLM's <sop>).
int64_t prefix_of(const std::vector<int32_t>& prompt, const ModelConfig& c) {
  if (!c.body_traits().prefix) return 0;
  return std::ssize(prompt) - (c.bos_token_id == prompt.back() ? 1 : 0);
}

// The two parts of "[where] what is wrong" (base/error.h).
Refusal refusal_of(const Error& error) {
  const std::string_view all = error.what();
  const size_t end = all.find("] ");
  return {Refusal::Reason::kInvalid, std::string(all.substr(1, end - 1)),
          std::string(all.substr(end + 2))};
}

}  // namespace

std::optional<Refusal> Engine::refuse(const Request& r) const {
  using Reason = Refusal::Reason;
  if (r.prompt.empty())
    return Refusal{
        Reason::kInvalid, "generate",
        "the prompt has no tokens; give at least one (a beginning-of-text token will do)"};
  const int64_t vocabulary = model_.config().vocab_size;
  for (const int32_t token : r.prompt)
    if (token < 0 || token >= vocabulary)
      return Refusal{Reason::kInvalid, "prompt",
                     fmt::format("id {} is outside the vocabulary of {}; the tokenizer and the "
                                 "model must belong together",
                                 token, vocabulary)};
  if (auto refusal = refuse_search(r)) return refusal;
  if (r.choices < 1 || r.choices > options_.max_sequences)
    return Refusal{Reason::kInvalid, "choices",
                   fmt::format("{}, expected 1 to {}", r.choices, options_.max_sequences)};
  if (r.thinking)
    if (auto refusal = refuse_thinking(r)) return refusal;
  if (r.context_shift) return refuse_shift(r);
  return refuse_size(r, r.sampling.max_new_tokens);
}

std::optional<Refusal> Engine::refuse_shift(const Request& r) const {
  const auto [context, keep] = *r.context_shift;
  const auto refusal = [](std::string message) {
    return Refusal{Refusal::Reason::kInvalid, "context_shift", std::move(message)};
  };
  const Body body = model_.config().body_traits();
  if (options_.streaming)
    return refusal("loses tokens that this engine's stream_window keeps in view; use one of them");
  if (body.encoder || body.prefix || whole_passes_)
    return refusal("needs a plain decoder whose tokens do not compete for experts");
  if (r.sampling.searches())
    return refusal(fmt::format("cannot be combined with {}; use one of them",
                               r.sampling.num_beams > 1 ? "beams" : "penalty_alpha"));
  if (keep < 0 || context < keep + 2)
    return refusal(
        fmt::format("a window of {} tokens that keeps the first {}; expected at least 2 "
                    "more than are kept",
                    context, keep));
  const int64_t length = std::ssize(r.prompt);
  if (length > context)
    return Refusal{
        Refusal::Reason::kPromptTooLong, "prompt",
        fmt::format("the prompt has {} tokens, but the window has {}; shorten it, or make "
                    "the window larger",
                    length, context)};
  const int64_t longest = length + room_.new_tokens(length) - 1;
  if (context > longest)
    return refusal(
        fmt::format("a window of {} tokens, but {} positions were trained; ask for at most that",
                    context, longest));
  return refuse_size(r, std::min(context - length, r.sampling.max_new_tokens));
}

// What does not fit into the trained positions, and what would not fit into the cache if it were
// alone in it.
std::optional<Refusal> Engine::refuse_size(const Request& r, int64_t wanted) const {
  using Reason = Refusal::Reason;
  const int64_t length = std::ssize(r.prompt);
  if (auto why = room_.of_prompt(length); !why.empty())
    return Refusal{Reason::kPromptTooLong, "prompt", std::move(why)};
  if (auto why = room_.of_new_tokens(length, wanted, r.sampling.contrastive()); !why.empty())
    return Refusal{Reason::kTooManyTokens, "max_new_tokens", std::move(why)};
  const int64_t held = room_.before(length);
  const auto fits = [&](int64_t new_tokens) {
    const int64_t all = held + new_tokens;
    int64_t most = computed_at_once_ ? all : std::max(options_.token_budget, held);
    if (options_.streaming) most = options_.token_budget;
    return cache_.fits({.length = all + options_.block_size,
                        .most = most,
                        .text = length,
                        .sequences = r.sampling.open_texts(),
                        .states = r.sampling.contrastive()});
  };
  const bool encoder = model_.config().body_traits().encoder;
  if (!fits(0))
    return Refusal{Reason::kPromptTooLong, "prompt",
                   fmt::format("the prompt has {} tokens, more than the cache of {} holds; shorten "
                               "it, or give the cache more memory",
                               length, encoder ? options_.text_tokens : options_.cache_tokens)};
  if (!fits(wanted))
    return Refusal{Reason::kTooManyTokens, "max_new_tokens",
                   fmt::format("{} new tokens do not fit after a prompt of {}: the cache holds {}; "
                               "ask for fewer, or give the cache more memory",
                               wanted, length, options_.cache_tokens)};
  return std::nullopt;
}

// Which tokens end its texts, and the search for them. Errors: those of the searches.
void Engine::prepare_ends(Job& job) const {
  const GenerationConfig& config = job.request.sampling;
  if (!config.ignore_eos)
    job.ends = config.eos_token_id.empty() ? model_.config().eos_token_ids() : config.eos_token_id;
  std::vector<int32_t> ends(job.ends.begin(), job.ends.end());
  if (job.request.constraint) {
    const auto more = job.request.constraint->vocabulary().ends();
    ends.insert(ends.end(), more.begin(), more.end());
  }
  if (config.contrastive()) {
    job.beams = std::make_unique<Beams>(Beams{ContrastiveSearch(config)});
    return;
  }
  BeamSearch search(config, std::move(ends));
  if (config.num_beams > 1) job.beams = std::make_unique<Beams>(Beams{std::move(search)});
}

Submission Engine::submit(Request request) {
  if (auto refusal = refuse(request)) return {0, std::move(refusal)};
  std::unique_ptr<Job> job;
  try {
    Adaptation adaptation = adaptation_of(request);
    SamplerChain chain(request.sampling);
    job = std::make_unique<Job>(Job{0, std::move(request), std::move(chain)});
    prepare_ends(*job);
    job->adaptation_identity = adaptation.identity();
    job->root = PrefixIndex::root(job->adaptation_identity);
    job->adaptation = std::move(adaptation);
  } catch (const Error& e) {
    return {0, refusal_of(e)};
  }
  job->prefix = prefix_of(job->request.prompt, model_.config());
  const std::lock_guard lock(mutex_);
  if (stopping_)
    return {0, Refusal{Refusal::Reason::kStopping, "engine", "it is stopping; ask another one"}};
  const auto waiting = statistics_.waiting + std::ssize(inbox_.jobs);
  if (waiting >= options_.max_queue)
    return {0, Refusal{Refusal::Reason::kQueueFull, "engine",
                       fmt::format("{} requests wait already; try again later", waiting)}};
  const uint64_t id = job->id = next_id_++;
  inbox_.jobs.push_back(std::move(job));
  wake_.notify_one();
  return {id, std::nullopt};
}

void Engine::cancel(uint64_t id) {
  const std::lock_guard lock(mutex_);
  inbox_.cancelled.push_back(id);
  wake_.notify_one();
}

void Engine::stop(bool cancel_open) {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  cancel_open_ = cancel_open_ || cancel_open;
  wake_.notify_one();
}

}  // namespace lathe
