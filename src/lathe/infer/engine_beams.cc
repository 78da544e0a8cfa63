// Beam search in the engine: the beams are sequences that decode together, and a step is taken when
// the logits of all of them have come. Other searches (engine_contrast.cc) go on in the same way.
#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/infer/engine_state.h"

namespace lathe {

std::optional<Refusal> Engine::refuse_beams(const Request& r) const {
  const int64_t beams = r.sampling.num_beams;
  if (r.choices <= beams) return std::nullopt;
  return Refusal{
      Refusal::Reason::kInvalid, "choices",
      fmt::format("{} answers of {} beams; ask for fewer, or give more beams", r.choices, beams)};
}

void Engine::begin_beams(const std::shared_ptr<Job>& job) {
  const Request& request = job->request;
  const int64_t id = new_sequence(job, 0).id;
  job->beams->sequences = {id};
  if (request.sampling.max_new_tokens == 0) return finish(id, FinishReason::kLength);
  scheduler_.add_waiting({.id = id,
                          .priority = request.priority,
                          .client = request.client,
                          .slots = request.sampling.open_texts()});
}

void Engine::take_beam_row(Sequence& sequence, std::span<float> logits) {
  const auto job = sequence.job;
  Beams& open = *job->beams;
  try {
    Beams::Row row;
    if (!open.contrastive())
      sequence.chooser.score(logits, sequence.new_tokens());
    else if (!sequence.answer.empty())
      row.cosine = largest_cosine(sequence);
    row.logits.assign(logits.begin(), logits.end());
    open.rows[sequence.id] = std::move(row);
    if (open.rows.size() < open.sequences.size()) return;
    if (open.contrastive())
      step_contrast(job);
    else
      step_beams(job);
  } catch (...) {  // of a sampler or the receiver
    if (!job->beams->sequences.empty())
      drop_beams(job, FinishReason::kFailed, std::current_exception());
  }
}

void Engine::step_beams(const std::shared_ptr<Job>& job) {
  Beams& beams = *job->beams;
  std::vector<std::span<const float>> rows;
  for (const int64_t id : beams.sequences) rows.emplace_back(beams.rows.at(id).logits);
  const auto next = beams.beam_search().step(rows);
  beams.rows.clear();
  if (next.empty())
    end_beams(job);
  else
    become(next, job);
}

// The sequences take the places of the next beams: each has the text and the blocks of its parent.
void Engine::become(const std::vector<BeamSearch::Beam>& next, const std::shared_ptr<Job>& job) {
  struct Child {
    std::vector<int32_t> text, answer;
    PagedCache::Fork cache;
    TokenChooser chooser;
  };
  std::vector<int64_t>& ids = job->beams->sequences;
  std::vector<Child> children;
  for (const BeamSearch::Beam& beam : next) {
    const Sequence& parent = *sequences_.at(ids[static_cast<size_t>(beam.parent)]);
    children.push_back(
        {parent.text, parent.answer, PagedCache::Fork(cache_, *parent.cache), parent.chooser});
    children.back().text.push_back(beam.token);
    children.back().answer.push_back(beam.token);
    children.back().chooser.take(beam.token);
  }
  for (; ids.size() > children.size(); ids.pop_back()) drop(ids.back());
  while (ids.size() < children.size()) {
    ids.push_back(new_sequence(job, 0).id);
    scheduler_.add_running({.id = ids.back(),
                            .priority = job->request.priority,
                            .client = job->request.client,
                            .slots = 0});  // the first one has those of all
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    Sequence& sequence = *sequences_.at(ids[i]);
    if (sequence.cache) cache_.close(*sequence.cache);
    sequence.cache = children[i].cache.take();
    sequence.text = std::move(children[i].text);
    sequence.answer = std::move(children[i].answer);
    sequence.chooser = std::move(children[i].chooser);
    sequence.read_text = true;
  }
}

void Engine::drop(int64_t id) {
  start_over(*sequences_.at(id));
  scheduler_.remove(id);
  sequences_.erase(id);
}

// Hands the answers over, best first.
void Engine::end_beams(const std::shared_ptr<Job>& job) {
  const Request& request = job->request;
  const auto answers = job->beams->beam_search().best(request.choices);
  require(std::ssize(answers) == request.choices, ErrorKind::kNumeric, "beam search",
          "{} different answers are possible, but {} are asked for", answers.size(),
          request.choices);
  drop_all(*job);
  for (int64_t choice = 0; choice < request.choices; ++choice)
    hand_over(*job, choice, answers[static_cast<size_t>(choice)]);
}

void Engine::drop_all(Job& job) {
  for (const int64_t id : job.beams->sequences) drop(id);
  job.beams->sequences.clear();
}

void Engine::hand_over(const Job& job, int64_t choice, const BeamSearch::Hypothesis& answer) {
  const auto& on_token = job.request.on_token;
  Finished end = ended(job, choice);
  end.beam_score = answer.score;
  end.reason = job.beams->beam_search().ends(answer.tokens.back()) ? FinishReason::kStopToken
                                                                   : FinishReason::kLength;
  try {
    for (const int32_t token : answer.tokens) {
      {
        const std::lock_guard lock(mutex_);
        ++statistics_.new_tokens;
      }
      const NewToken event{.choice = choice, .index = end.new_tokens++, .token = token};
      if (!on_token || on_token(event)) continue;
      if (end.new_tokens < std::ssize(answer.tokens)) end.reason = FinishReason::kStopped;
      break;
    }
  } catch (...) {  // of the receiver
    end.reason = FinishReason::kFailed;
    end.error = std::current_exception();
  }
  tell(job, end);
}

// Ends a search that has no answer, or has told it.
void Engine::drop_beams(const std::shared_ptr<Job>& job, FinishReason reason,
                        const std::exception_ptr& error) {
  drop_all(*job);
  for (int64_t choice = 0; choice < job->request.choices; ++choice) {
    Finished end = ended(*job, choice);
    end.reason = reason;
    end.new_tokens = job->beams->told;
    end.error = error;
    tell(*job, end);
  }
}

}  // namespace lathe
