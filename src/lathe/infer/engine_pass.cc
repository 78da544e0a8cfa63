// One step of the engine: the pass over the rows that the scheduler chose, then the next token of
// each sequence that is complete.
#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/infer/engine_state.h"
#include "lathe/infer/logprobs.h"
#include "lathe/model/model_pass.h"

namespace lathe {

// The rows of a pass, which begins with them.
ModelInputs Engine::begin_pass(const std::vector<Scheduler::Share>& shares) {
  const Body body = model_.config().body_traits();
  IdRows parts, texts;
  std::vector<PagedCache::Id> ids;
  std::vector<int32_t> prefixes;
  std::vector<int64_t> context;
  for (const auto& share : shares) {
    Sequence& sequence = *sequences_.at(share.id);
    const int64_t held = cache_.length(*sequence.cache);
    parts.emplace_back(sequence.text.begin() + held, sequence.text.begin() + held + share.tokens);
    texts.push_back(sequence.read_text ? std::vector<int32_t>() : sequence.job->request.prompt);
    sequence.read_text = true;
    prefixes.push_back(static_cast<int32_t>(sequence.job->prefix));
    context.push_back(held);
    ids.push_back(*sequence.cache);
  }
  ModelInputs inputs{.rows = Rows::of(parts)};
  inputs.rows.context = std::move(context);
  if (body.prefix) inputs.rows.prefix = Tensor::of<int32_t>(prefixes, {std::ssize(prefixes)});
  if (body.encoder) inputs.text = Rows::of(texts);
  cache_.begin_pass(std::move(ids));
  return inputs;
}

// The logits of the sequences that are complete, [B,V] f32, in their order; undefined if none is.
Tensor Engine::run_pass(const std::vector<Scheduler::Share>& shares) {
  const ModelInputs inputs = begin_pass(shares);
  std::vector<int64_t> ids;
  for (const auto& share : shares) ids.push_back(share.id);
  const auto adapters =
      adapters_of(ids, inputs.rows.sequences, inputs.text ? &inputs.text->sequences : nullptr);
  ModelPass pass(model_, {.cache = &cache_, .adapters = adapters.get()});
  const Tensor hidden = pass.hidden(inputs).value;
  cache_.end_pass(inputs.rows);
  std::vector<int64_t> last, complete;
  for (size_t b = 0; b < shares.size(); ++b) {
    const Sequence& sequence = *sequences_.at(shares[b].id);
    if (shares_prefixes_ && sequence.job->request.share_prefix)
      cache_.publish(*sequence.cache, sequence.text);
    if (cache_.length(*sequence.cache) < sequence.size()) continue;
    last.push_back(inputs.rows.sequences.first(static_cast<int64_t>(b) + 1) - 1);
    complete.push_back(shares[b].id);
  }
  if (last.empty()) return {};
  const Tensor rows(hidden.shape().with(0, std::ssize(last)), hidden.dtype(), hidden.device());
  for (size_t i = 0; i < last.size(); ++i)
    rows.narrow(0, static_cast<int64_t>(i), 1).copy_from(hidden.narrow(0, last[i], 1));
  const auto of_last = adapters_of(complete, Sequences::equal(std::ssize(last), 1), nullptr);
  return model_.logits({.adapters = of_last.get()}, Var(rows)).value.to(DType::kF32);
}

void Engine::take_logits(const std::vector<Scheduler::Share>& shares, const Tensor& logits) {
  int64_t row = 0;
  for (const auto& share : shares) {
    Sequence& sequence = *sequences_.at(share.id);
    if (cache_.length(*sequence.cache) < sequence.size()) continue;
    const int64_t vocabulary = logits.size(1);
    std::span<float> mine(logits.data<float>() + row++ * vocabulary,
                          static_cast<size_t>(vocabulary));
    std::vector<int64_t> all{sequence.id};
    if (sequence.leads) {
      fork_choices(sequence);
      all.clear();
      for (const auto& [id, each] : sequences_)
        if (each->job == sequence.job) all.push_back(id);
    }
    // Samplers overwrite logits: all choices but the last get a copy.
    for (size_t i = 0; i < all.size(); ++i) {
      if (!sequences_.contains(all[i])) continue;
      Sequence& next = *sequences_.at(all[i]);
      if (i + 1 == all.size()) {
        accept(next, mine);
      } else {
        std::vector<float> own(mine.begin(), mine.end());
        accept(next, own);
      }
    }
  }
}

// Ends the part of a job that its choices have in common.
void Engine::fork_choices(Sequence& first) {
  const Request& request = first.job->request;
  const Scheduler::Task task{.priority = request.priority, .client = request.client};
  first.leads = false;
  if (request.choices == 1) return;
  for (const auto& [id, sequence] : sequences_) {
    if (sequence->job != first.job || id == first.id) continue;
    sequence->leads = false;
    sequence->cache = cache_.fork(*first.cache);
    sequence->read_text = true;
    scheduler_.add_running({id, task.priority, task.client});
  }
  scheduler_.set_slots(first.id, 1);
}

bool Engine::ends(const Job& job, int32_t token) const {
  const GenerationConfig& config = job.chain.config();
  if (config.ignore_eos) return false;
  const auto names = [&](const std::vector<int64_t>& ids) {
    return std::ranges::find(ids, token) != ids.end();
  };
  return config.eos_token_id.empty() ? names(model_.config().eos_token_ids())
                                     : names(config.eos_token_id);
}

// The next token of one sequence from its logits, which are overwritten.
void Engine::accept(Sequence& sequence, std::span<float> logits) {
  const int64_t id = sequence.id;
  Job& job = *sequence.job;
  try {
    const Request& request = job.request;
    const auto index = sequence.new_tokens().size();
    const Rng draw = Rng(static_cast<uint64_t>(request.sampling.seed))
                         .fork(request.stream + static_cast<uint64_t>(sequence.choice))
                         .fork(index);
    std::vector<float> raw;
    if (request.logprobs) raw.assign(logits.begin(), logits.end());
    if (sequence.matcher) keep_allowed(*sequence.matcher->mask(), logits);
    const int32_t token =
        job.chain.next(logits, {request.prompt, sequence.new_tokens()}, draw, sequence.sampling);
    sequence.text.push_back(token);
    require(!sequence.matcher || sequence.matcher->accept(token), ErrorKind::kNumeric, "constraint",
            "the samplers chose token {}, which the constraint forbids", token);
    const bool goes_on = deliver(sequence, token, raw);
    if (ends(job, token) || (sequence.matcher && sequence.matcher->finished()))
      finish(id, FinishReason::kStopToken);
    else if (!goes_on)
      finish(id, FinishReason::kStopped);
    else if (std::ssize(sequence.new_tokens()) >= request.sampling.max_new_tokens)
      finish(id, FinishReason::kLength);
  } catch (...) {  // of the sampler or the receiver
    if (sequences_.contains(id)) finish(id, FinishReason::kFailed, std::current_exception());
  }
}

bool Engine::deliver(Sequence& sequence, int32_t token, std::span<const float> raw) {
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

void Engine::finish(int64_t id, FinishReason reason, std::exception_ptr error) {
  const auto node = sequences_.extract(id);
  Sequence& sequence = *node.mapped();
  start_over(sequence);
  scheduler_.remove(id);
  const Job& job = *sequence.job;
  // The choices that wait for this one to read the prompt end with it.
  std::vector<int64_t> followers;
  if (sequence.leads && sequence.choice == 0)
    for (const auto& [other, each] : sequences_)
      if (each->job == sequence.job) followers.push_back(other);
  {
    const std::lock_guard lock(mutex_);
    ++statistics_.finished;
  }
  if (job.request.on_finish)
    job.request.on_finish({.choice = sequence.choice,
                           .reason = reason,
                           .prompt_tokens = std::ssize(job.request.prompt),
                           .cached_tokens = std::max<int64_t>(0, job.cached_tokens),
                           .new_tokens = std::ssize(sequence.new_tokens()),
                           .error = error});
  for (const int64_t other : followers) finish(other, reason, error);
}

}  // namespace lathe
