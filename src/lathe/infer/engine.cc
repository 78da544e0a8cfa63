#include "lathe/infer/engine.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/infer/engine_state.h"
#include "lathe/infer/prefix_file.h"

namespace lathe {
namespace {

int32_t decoder_start(const ModelConfig& c) {
  const auto id = c.decoder_start();
  require(id.has_value(), ErrorKind::kConfig, "decoder_start_token_id",
          "config.json sets neither this nor pad_token_id; the decoder needs an id to start with");
  return static_cast<int32_t>(*id);
}

void check_streaming(const Transformer& model, const Streaming& s) {
  require(s.window >= 1 && s.sinks >= 0, ErrorKind::kConfig, "stream_window",
          "a window of {} tokens behind the first {}, expected at least 1 behind at least 0",
          s.window, s.sinks);
  const std::string why = why_not_streamed(model);
  require(why.empty(), ErrorKind::kData, "stream_window", "this model cannot stream a text: {}",
          why);
}

const EngineOptions& checked(const Transformer& model, const EngineOptions& o) {
  require(model.config().body_traits().causal, ErrorKind::kData, "generate",
          "body \"{}\" predicts hidden tokens in place and cannot continue a text",
          model.config().body);
  require(model.config().lm_head, ErrorKind::kData, "generate",
          "the model has no output head and predicts no tokens; give the folder of a language model");
  for (const auto& [key, value] : {std::pair{"block_size", o.block_size},
                                   {"cache_tokens", o.cache_tokens},
                                   {"token_budget", o.token_budget},
                                   {"max_sequences", o.max_sequences},
                                   {"draft_tokens", o.draft_tokens},
                                   {"max_queue", o.max_queue}})
    require(value > 0, ErrorKind::kConfig, key, "{}, expected at least 1", value);
  if (model.config().body_traits().encoder) decoder_start(model.config());
  if (o.streaming) check_streaming(model, *o.streaming);
  return o;
}

}  // namespace

Engine::Engine(const Transformer& model, const EngineOptions& options,
               std::unique_ptr<Drafter> drafter)
    : model_(model),
      options_(checked(model, options)),
      room_(model),
      cache_(make_cache(model, options)),
      scheduler_(options.token_budget, options.max_sequences, !tokens_compete(model.config())),
      drafter_(std::move(drafter)),
      depth_(options.draft_tokens),
      shares_prefixes_(why_prefixes_are_not_shared(model).empty()),
      whole_passes_(tokens_compete(model.config())),
      computed_at_once_(whole_passes_ || moves_tokens(model)) {
  require(!drafter_ || !whole_passes_, ErrorKind::kData, "speculation",
          "guesses would compete for experts with the tokens of this model (a capacity, expert "
          "choice) and change them; generate without speculation");
  require(!drafter_ || !options_.streaming, ErrorKind::kConfig, "stream_window",
          "a text that is streamed takes no guesses; leave out the window, or the speculation");
  update_statistics();
}

Engine::~Engine() = default;

// --- the owner's loop -----------------------------------------------------------------------

void Engine::take_inbox() {
  Inbox inbox;
  bool cancel_open = false;
  {
    const std::lock_guard lock(mutex_);
    std::swap(inbox, inbox_);
    cancel_open = cancel_open_;
  }
  for (auto& job : inbox.jobs) begin(std::move(job));
  const auto cancelled = [&](uint64_t id) {
    return cancel_open || std::ranges::find(inbox.cancelled, id) != inbox.cancelled.end();
  };
  std::vector<int64_t> ending;
  for (const auto& [id, sequence] : sequences_)
    if (cancelled(sequence->job->id)) ending.push_back(id);
  for (const int64_t id : ending)
    if (sequences_.contains(id)) finish(id, FinishReason::kCancelled);
  end_thoughts(inbox.thought_enough);
}

Engine::Sequence& Engine::new_sequence(const std::shared_ptr<Job>& job, int64_t choice) {
  const Request& request = job->request;
  const int64_t id = next_sequence_++;
  sequences_[id] = std::make_unique<Sequence>(
      Sequence{.id = id,
               .job = job,
               .choice = choice,
               .text = model_.config().body_traits().encoder
                           ? std::vector<int32_t>{decoder_start(model_.config())}
                           : request.prompt,
               .chooser = TokenChooser(request, job->chain, choice)});
  return *sequences_.at(id);
}

// Where choices can part after the prompt, one sequence reads it for all.
void Engine::begin(std::unique_ptr<Job> owned) {
  const std::shared_ptr<Job> job = std::move(owned);
  const Request& request = job->request;
  if (job->beams) return begin_beams(job);
  const bool together = !whole_passes_;
  std::vector<int64_t> empty;
  for (int64_t choice = 0; choice < request.choices; ++choice) {
    Sequence& sequence = new_sequence(job, choice);
    sequence.leads = together;
    look_ahead(sequence);
    const int64_t id = sequence.id;
    if (request.sampling.max_new_tokens == 0) {
      empty.push_back(id);
    } else if (choice == 0 || !together) {
      scheduler_.add_waiting({.id = id,
                              .priority = request.priority,
                              .client = request.client,
                              .slots = together ? request.choices : 1});
    }
  }
  for (const int64_t id : empty) finish(id, FinishReason::kLength);
}

bool Engine::step() {
  take_inbox();
  guess();
  auto shares = scheduler_.plan(*this);
  group_by_adapters(shares);
  if (!shares.empty()) {
    try {
      const Computed pass = run_pass(shares);
      take_logits(shares, pass);
      settle(shares, pass);
    } catch (...) {  // what no single sequence is to blame for
      fail_all(shares, std::current_exception());
    }
  }
  update_statistics();
  return !shares.empty();
}

void Engine::run() {
  while (step()) {
  }
}

void Engine::serve() {
  for (;;) {
    if (step()) continue;
    std::unique_lock lock(mutex_);
    if (!inbox_.jobs.empty()) continue;
    if (stopping_) return;
    wake_.wait(lock,
               [&] { return stopping_ || !inbox_.jobs.empty() || !inbox_.cancelled.empty(); });
  }
}

void Engine::fail_all(const std::vector<Scheduler::Share>& shares,
                      const std::exception_ptr& error) {
  for (const auto& share : shares)
    if (sequences_.contains(share.id)) finish(share.id, FinishReason::kFailed, error);
}

// --- what the scheduler asks ----------------------------------------------------------------

void Engine::open(Sequence& sequence) {
  Job& job = *sequence.job;
  sequence.cache = cache_.open(job.root, job.request.sampling.contrastive());
  int64_t cached = 0;
  if (shares_prefixes_ && job.request.share_prefix)
    cached = cache_.adopt(*sequence.cache, sequence.text, sequence.size() - 1);
  if (job.cached_tokens >= 0) return;
  job.cached_tokens = cached;
  if (job.request.on_begin) job.request.on_begin();
  const std::lock_guard lock(mutex_);
  statistics_.prompt_tokens += std::ssize(job.request.prompt);
  statistics_.cached_tokens += cached;
}

void Engine::start_over(Sequence& sequence) {
  if (sequence.cache) cache_.close(*sequence.cache);
  sequence.cache.reset();
  sequence.read_text = false;
  sequence.drop_guesses();
}

// Guesses are what is left out first. What is certain is computed with the text unless a token's result
// depends on what else is in its pass.
int64_t Engine::chunk(int64_t id, int64_t most) {
  Sequence& sequence = *sequences_.at(id);
  if (!sequence.cache) open(sequence);
  const bool alone = computed_at_once_ || sequence.job->request.context_shift;
  const int64_t all = sequence.size() + (alone ? 0 : sequence.certain);
  int64_t held = cache_.length(*sequence.cache), rest = all - held;
  if (rest == 0) return 0;  // a beam whose row has come
  if (model_.outgrows_cache(held, rest)) {
    start_over(sequence);
    open(sequence);
    held = 0;
    rest = all;
  }
  const int64_t guesses = std::min(sequence.guesses(), most - rest);
  if (guesses > 0 && !model_.outgrows_cache(held, rest + guesses)) {
    sequence.ahead.resize(static_cast<size_t>(sequence.certain + guesses));
    return rest + guesses;
  }
  sequence.drop_guesses();
  int64_t tokens = std::min(rest, most);
  if (whole_passes_) tokens = rest;
  if (held < sequence.job->prefix) tokens = std::max(tokens, sequence.job->prefix - held);
  if (tokens < rest && model_.outgrows_cache(held + tokens, rest - tokens)) tokens = rest;
  return tokens;
}

bool Engine::reads_prompt(int64_t id) const {
  const Sequence& sequence = *sequences_.at(id);
  return !sequence.cache || sequence.size() - cache_.length(*sequence.cache) > 1;
}

// A model whose tokens compete in a pass is not the same when it is computed again, so its sequences
// never have to give up their room: all of it is taken at the start.
bool Engine::reserve(int64_t id, int64_t tokens) {
  Sequence& sequence = *sequences_.at(id);
  const Request& request = sequence.job->request;
  const int64_t all = std::ssize(sequence.text) - cache_.length(*sequence.cache) +
                      request.sampling.max_new_tokens - std::ssize(sequence.new_tokens());
  const bool with_text = model_.config().body_traits().encoder && !sequence.read_text;
  const auto reserved = [&](int64_t count) {
    return cache_.reserve(*sequence.cache, whole_passes_ ? all : count,
                          with_text ? std::ssize(request.prompt) : 0);
  };
  if (reserved(tokens)) return true;
  const int64_t guesses = sequence.guesses();
  if (guesses == 0) return false;
  sequence.drop_guesses();  // nobody else should give up room for them
  return reserved(tokens - guesses);
}

void Engine::preempt(int64_t id) {
  Sequence& sequence = *sequences_.at(id);
  start_over(sequence);
  if (sequence.job->beams) sequence.job->beams->rows.erase(id);
}

namespace {

void require_shared(const Transformer& model) {
  const std::string why = why_prefixes_are_not_shared(model);
  require(why.empty(), ErrorKind::kData, "cache",
          "this model has no prefixes to keep: {}; start without a file", why);
}

}  // namespace

// Of the model and of what its tokens see.
std::string Engine::prefix_identity() const {
  const auto& s = options_.streaming;
  return cache_identity(model_) + (s ? fmt::format("-{}-{}", s->sinks, s->window) : "");
}

int64_t Engine::save_cache(const std::filesystem::path& path) const {
  require_shared(model_);
  return save_prefixes(cache_, prefix_identity(), path);
}

int64_t Engine::load_cache(const std::filesystem::path& path) {
  require_shared(model_);
  return load_prefixes(cache_, prefix_identity(), model_.config().vocab_size, path);
}

void Engine::update_statistics() {
  const std::lock_guard lock(mutex_);
  statistics_.waiting = scheduler_.waiting();
  statistics_.running = scheduler_.running();
  statistics_.preemptions = scheduler_.preemptions();
  statistics_.blocks = statistics_.blocks_held = statistics_.blocks_kept = 0;
  for (size_t g = 0; g < cache_.groups(); ++g) {
    statistics_.blocks += cache_.pool(g).size();
    statistics_.blocks_held += cache_.pool(g).held();
    statistics_.blocks_kept += cache_.pool(g).kept();
  }
}

std::string Engine::description() const {
  std::vector<CacheGroup> groups;
  for (size_t g = 0; g < cache_.groups(); ++g) groups.push_back(cache_.group(g));
  return describe(groups, plan_cache(groups, options_));
}

EngineStatistics Engine::statistics() const {
  const std::lock_guard lock(mutex_);
  EngineStatistics all = statistics_;
  all.adapters = std::ssize(adapters_.names());
  all.adapter_bytes = static_cast<int64_t>(adapters_.bytes());
  return all;
}

}  // namespace lathe
