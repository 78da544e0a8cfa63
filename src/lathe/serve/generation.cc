#include "lathe/serve/generation.h"

#include <algorithm>

namespace lathe {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

ApiError error_of(const Refusal& refusal) {
  using Reason = Refusal::Reason;
  switch (refusal.reason) {
    case Reason::kPromptTooLong:
      return {400, refusal.message, "messages", "context_length_exceeded"};
    case Reason::kTooManyTokens:
      return {400, refusal.message, "max_tokens", "context_length_exceeded"};
    case Reason::kQueueFull:
      return {429, refusal.message, {}, "queue_full"};
    case Reason::kStopping:
      return {503, "the server is stopping; ask another one", {}, "stopping"};
    case Reason::kInvalid:
      break;
  }
  return {400, refusal.message, refusal.where};
}

ApiError error_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    return {e.kind() == ErrorKind::kConfig ? 400 : 500, message_without_place(e)};
  } catch (const std::exception&) {
    return {500, "internal error"};
  }
}

}  // namespace

struct Generation::Answer {
  AnswerReader reader;
  std::vector<AnswerPart> parts = {};
  int64_t tokens = 0;
  bool stopped = false, over = false;
};

Generation::Generation(ServedModel& model, GenerationRequest request,
                       std::unique_ptr<AnswerWriter> writer, ServeMetrics& metrics)
    : model_(model), request_(std::move(request)), metrics_(metrics), writer_(std::move(writer)) {
  const ToolCallSyntax* calls = request_.reads_calls ? &model_.calls() : nullptr;
  const ThinkingTags* tags =
      request_.reads_thoughts && model_.thinking() ? &*model_.thinking() : nullptr;
  for (const auto& prompt : request_.prompts)
    for (int64_t i = 0; i < request_.choices; ++i) {
      const bool opened = tags != nullptr && tags->in(prompt, {}).opened;
      answers_.push_back(std::make_unique<Answer>(Answer{AnswerReader(
          model_.tokenizer(),
          {.calls = calls, .thinking = tags, .opened = opened, .stop = request_.sampling.stop})}));
    }
  open_ = std::ssize(answers_);
}

std::shared_ptr<Generation> Generation::start(ServedModel& model, GenerationRequest request,
                                              std::unique_ptr<AnswerWriter> writer,
                                              ServeMetrics& metrics) {
  std::shared_ptr<Generation> it(
      new Generation(model, std::move(request), std::move(writer), metrics));
  it->submit();
  return it;
}

// The engine forks the text of one request into its choices; more than it writes at once are requests of their own, whose
// choices draw from the same streams as they would in one.
void Generation::submit() {
  Engine& engine = model_.engine();
  const int64_t at_once = engine.options().max_sequences;
  if (!model_.admit(std::ssize(answers_)))
    throw ApiError(429, "too many requests wait already; try again later", {}, "queue_full");
  for (size_t prompt = 0; prompt < request_.prompts.size(); ++prompt) {
    for (int64_t first = 0; first < request_.choices; first += at_once) {
      const int64_t count = std::min(at_once, request_.choices - first);
      const Submission taken = engine.submit(request_for(prompt, first, count));
      if (taken.refusal) {
        cancel(/*quietly=*/true);
        for (int64_t i = base_of(prompt, first); i < std::ssize(answers_); ++i) model_.release();
        throw error_of(*taken.refusal);
      }
      const std::lock_guard lock(mutex_);
      ids_.push_back(taken.id);
      if (cancelled_) engine.cancel(taken.id);
    }
  }
}

Request Generation::request_for(size_t prompt, int64_t first, int64_t count) {
  const int64_t base = base_of(prompt, first);
  Request r{.prompt = request_.prompts[prompt], .sampling = request_.sampling, .choices = count};
  r.stream = static_cast<uint64_t>(first);
  r.logprobs = request_.logprobs;
  r.constraint = request_.constraint;
  if (request_.reads_thoughts && model_.thinking() && !r.sampling.searches())
    r.thinking = model_.thinking()->in(r.prompt, request_.thinking_budget);
  r.priority = request_.priority;
  r.adapters = request_.adapters;
  r.client = request_.client;
  r.share_prefix = request_.cache_prompt;
  r.on_begin = [self = shared_from_this()] {
    self->metrics_.queued(self->model_.name(), seconds_since(self->start_));
  };
  r.on_token = [self = shared_from_this(), base](const NewToken& token) {
    return self->take(base + token.choice, token);
  };
  r.on_finish = [self = shared_from_this(), base](const Finished& end) {
    self->finish(base + end.choice, end);
  };
  return r;
}

bool Generation::take(int64_t index, const NewToken& token) {
  const std::lock_guard lock(mutex_);
  if (quiet_) return false;
  const auto now = Clock::now();
  if (!last_token_)
    metrics_.first_token(model_.name(), seconds_since(start_));
  else
    metrics_.next_token(model_.name(), std::chrono::duration<double>(now - *last_token_).count());
  last_token_ = now;
  Answer& answer = *answers_[static_cast<size_t>(index)];
  ++answer.tokens;
  AnswerToken told{.answer = index, .token = token, .parts = {}};
  answer.stopped = !answer.reader.push(token.token, told.parts);
  writer_->token(told);
  return !answer.stopped;
}

void Generation::finish(int64_t index, const Finished& end) {
  const std::lock_guard lock(mutex_);
  Answer& answer = *answers_[static_cast<size_t>(index)];
  if (std::exchange(answer.over, true)) return;
  model_.release();
  if (index % request_.choices == 0) {
    usage_.prompt_tokens += end.prompt_tokens;
    usage_.cached_tokens += end.cached_tokens;
  }
  usage_.new_tokens += end.new_tokens;
  usage_.thinking_tokens += end.thinking_tokens;
  metrics_.tokens(model_.name(), index % request_.choices == 0 ? end.prompt_tokens : 0,
                  index % request_.choices == 0 ? end.cached_tokens : 0, end.new_tokens,
                  end.guessed_tokens, end.accepted_tokens);
  if (end.reason == FinishReason::kFailed && !error_) error_ = error_of(end.error);
  if (!error_ && !quiet_) {
    AnswerEnd told;
    told.answer = index;
    answer.reader.finish(told.parts);
    told.reason = end.reason == FinishReason::kLength ? "length" : "stop";
    if (answer.stopped) told.stop_string = answer.reader.stop_string();
    told.message = &answer.reader.message();
    writer_->end(told);
  }
  if (--open_ == 0) finish_all();
}

void Generation::finish_all() {
  if (cancelled_) metrics_.cancelled(model_.name());
  if (!quiet_ && error_) writer_->fail(*error_);
  if (!quiet_ && !error_) writer_->done(usage_);
  writer_.reset();
}

void Generation::cancel(bool quietly) {
  std::vector<uint64_t> ids;
  {
    const std::lock_guard lock(mutex_);
    if (open_ == 0) return;
    cancelled_ = true;
    quiet_ = quiet_ || quietly;
    ids = ids_;
  }
  for (const uint64_t id : ids) model_.engine().cancel(id);
}

void Generation::fail(const ApiError& error) {
  {
    const std::lock_guard lock(mutex_);
    if (open_ == 0) return;
    if (!error_) error_ = error;
  }
  cancel(/*quietly=*/false);
}

Generation::State Generation::state() const {
  const std::lock_guard lock(mutex_);
  State state{
      .model = model_.name(), .writing = last_token_.has_value(), .seconds = seconds_since(start_)};
  for (const auto& prompt : request_.prompts) state.prompt_tokens += std::ssize(prompt);
  for (const auto& answer : answers_) state.new_tokens += answer->tokens;
  return state;
}

bool Generation::over() const {
  const std::lock_guard lock(mutex_);
  return open_ == 0;
}

}  // namespace lathe
