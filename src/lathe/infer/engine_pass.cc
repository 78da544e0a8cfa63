// One step of the engine: the pass over the rows that the scheduler chose.
#include <algorithm>
#include <chrono>
#include <list>

#include "lathe/base/error.h"
#include "lathe/infer/engine_state.h"
#include "lathe/model/model_pass.h"
#include "lathe/ops/pick_rows.h"

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
    const std::vector<int32_t> all = joined(sequence.text, sequence.ahead);
    const int64_t end = std::min(held + share.tokens, std::ssize(all));
    parts.emplace_back(all.begin() + held, all.begin() + end);
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

// The first `count` tokens of the text are what the cache holds of it, if it holds so many.
void Engine::publish(const Sequence& sequence, int64_t count) {
  if (shares_prefixes_ && sequence.job->request.share_prefix)
    cache_.publish(*sequence.cache, std::span(sequence.text).first(static_cast<size_t>(count)));
}

// Whether a certain token is taken only with the logits before it.
bool Engine::takes_singly(const Sequence& sequence) const {
  return sequence.job->request.logprobs || whole_passes_;
}

// Which logits are wanted of a pass: those that follow the end of each text and its guesses, and those
// that follow what is certain only if they are needed for it.
void Engine::choose_rows(const std::vector<Scheduler::Share>& shares, Computed& pass) const {
  std::vector<int64_t> wanted;   // rows of the pass
  std::vector<int64_t> lengths;  // of what is wanted of each sequence
  for (size_t b = 0; b < shares.size(); ++b) {
    const Sequence& sequence = *sequences_.at(shares[b].id);
    const auto row = static_cast<int64_t>(b);
    const int64_t context = pass.rows.context_of(row), end = pass.rows.length_of(row);
    const int64_t certain = takes_singly(sequence) ? 0 : sequence.certain;
    const int64_t first = sequence.size() - 1 + certain;
    pass.of.push_back({.first = first});
    for (int64_t at = first; at < end; ++at) {
      wanted.push_back(pass.rows.sequences.first(row) + at - context);
      pass.of.back().rows.emplace_back();
    }
    lengths.push_back(std::ssize(pass.of.back().rows));
  }
  if (wanted.empty()) return;
  const auto adapters = adapters_of(shares, Sequences(lengths), nullptr);
  const Var rows(rows_at(pass.hidden, wanted));
  pass.logits = model_.logits({.adapters = adapters.get()}, rows).value.to(DType::kF32);
  const auto vocabulary = static_cast<size_t>(pass.logits.size(1));
  float* next = pass.logits.data<float>();
  for (LogitRows& of : pass.of)
    for (std::span<float>& each : of.rows) {
      each = {next, vocabulary};
      next += vocabulary;
    }
}

Engine::Computed Engine::run_pass(const std::vector<Scheduler::Share>& shares) {
  const auto start = std::chrono::steady_clock::now();
  const ModelInputs inputs = begin_pass(shares);
  const auto adapters =
      adapters_of(shares, inputs.rows.sequences, inputs.text ? &inputs.text->sequences : nullptr);
  ModelPass model(model_,
                  {.cache = &cache_, .streaming = options_.streaming, .adapters = adapters.get()});
  Computed pass{.rows = inputs.rows, .hidden = {}, .logits = {}, .of = {}};
  pass.hidden = model.hidden(inputs).value;
  keep_states(shares, pass);
  cache_.end_pass(inputs.rows);
  for (const auto& share : shares) {
    const Sequence& sequence = *sequences_.at(share.id);
    publish(sequence, sequence.size());
  }
  choose_rows(shares, pass);
  if (pass.logits.defined() && pass.logits.size(0) == pass.rows.tokens())
    depth_.passed(pass.rows.tokens(), seconds_since(start));
  const std::lock_guard lock(mutex_);
  ++statistics_.steps;
  statistics_.tokens += pass.rows.tokens();
  return pass;
}

void Engine::take_logits(const std::vector<Scheduler::Share>& shares, const Computed& pass) {
  for (size_t b = 0; b < shares.size(); ++b) {
    const auto found = sequences_.find(shares[b].id);
    if (found == sequences_.end()) continue;  // its search has failed at another row
    Sequence& sequence = *found->second;
    if (cache_.length(*sequence.cache) < sequence.size()) continue;
    std::vector<int64_t> all{sequence.id};
    if (sequence.job->beams) {
      take_beam_row(sequence, pass.of[b].rows.front());
      continue;
    }
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
        advance(next, pass.of[b]);
      } else {
        LogitRows own = pass.of[b];
        std::list<std::vector<float>> copies;
        for (std::span<float>& row : own.rows) row = copies.emplace_back(row.begin(), row.end());
        advance(next, own);
      }
    }
  }
}

// Takes what did not come true back from the cache.
void Engine::settle(const std::vector<Scheduler::Share>& shares, const Computed& pass) {
  for (size_t b = 0; b < shares.size(); ++b) {
    const auto found = sequences_.find(shares[b].id);
    if (found == sequences_.end()) continue;
    const Sequence& sequence = *found->second;
    if (sequence.job->beams || !sequence.cache) continue;  // nothing was guessed
    const auto row = static_cast<int64_t>(b);
    const int64_t context = pass.rows.context_of(row);
    const int64_t settled = std::min(pass.rows.length_of(row), sequence.size() - 1);
    cache_.truncate(*sequence.cache, settled);
    if (drafter_)
      drafter_->see(sequence.id, context,
                    pass.hidden.narrow(0, pass.rows.sequences.first(row), settled - context));
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

}  // namespace lathe
