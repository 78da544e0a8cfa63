#include "lathe/infer/engine.h"

#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/infer/logprobs.h"
#include "lathe/infer/prefix_file.h"
#include "lathe/infer/sampler/chain.h"
#include "lathe/model/model_pass.h"

namespace lathe {

struct Engine::Job {
  uint64_t id = 0;
  Request request;
  SamplerChain chain;
  int64_t prefix = 0;          // tokens at the beginning that see each other
  int64_t cached_tokens = -1;  // until it begins
};

struct Engine::Sequence {
  int64_t id = 0;
  std::shared_ptr<Job> job;
  int64_t choice = 0;
  bool leads = false;         // its first logits are those of all choices
  std::vector<int32_t> text;  // what the decoder has: a beginning, then the new tokens
  size_t begin = 0;           // of the new tokens in it
  std::optional<PagedCache::Id> cache = {};
  bool read_text = false;  // the encoder has

  std::span<const int32_t> new_tokens() const { return std::span(text).subspan(begin); }
  int64_t size() const { return static_cast<int64_t>(text.size()); }
};

namespace {

int32_t decoder_start(const ModelConfig& c) {
  const auto id = c.decoder_start();
  require(id.has_value(), ErrorKind::kConfig, "decoder_start_token_id",
          "config.json sets neither this nor pad_token_id; the decoder needs an id to start with");
  return static_cast<int32_t>(*id);
}

// How many tokens of a prompt a prefix decoder sees from everywhere. A beginning-of-text token at
// the end begins the answer (ChatGLM's <sop>).
int64_t prefix_of(const std::vector<int32_t>& prompt, const ModelConfig& c) {
  if (!c.body_traits().prefix) return 0;
  return std::ssize(prompt) - (c.bos_token_id == prompt.back() ? 1 : 0);
}

bool tokens_compete(const ModelConfig& c) {
  return c.moe.enabled() &&
         (!is_causal(c.moe) || c.moe.expert_capacity.has_value() || c.moe.eval_capacity_factor > 0);
}

bool moves_tokens(const Transformer& model) { return model.outgrows_cache(1, int64_t{1} << 30); }

const EngineOptions& checked(const Transformer& model, const EngineOptions& o) {
  require(model.config().body_traits().causal, ErrorKind::kData, "generate",
          "body \"{}\" predicts hidden tokens in place and cannot continue a text",
          model.config().body);
  for (const auto& [key, value] : {std::pair{"block_size", o.block_size},
                                   {"cache_tokens", o.cache_tokens},
                                   {"token_budget", o.token_budget},
                                   {"max_sequences", o.max_sequences},
                                   {"max_queue", o.max_queue}})
    require(value > 0, ErrorKind::kConfig, key, "{}, expected at least 1", value);
  if (model.config().body_traits().encoder) decoder_start(model.config());
  return o;
}

int64_t blocks_of(int64_t tokens, int64_t size) { return (tokens + size - 1) / size; }

}  // namespace

std::string why_prefixes_are_not_shared(const Transformer& model) {
  const Body body = model.config().body_traits();
  if (body.encoder) return "every token sees the encoder's text";
  if (body.prefix) return "the tokens of a prefix see each other";
  if (moves_tokens(model)) return "positions depend on the length of the text";
  if (tokens_compete(model.config())) return "the tokens of a pass compete for experts";
  return {};
}

CachePlan plan_cache(const std::vector<CacheGroup>& groups, const EngineOptions& o) {
  CachePlan plan{.block_size = o.block_size, .blocks = {}};
  const int64_t all = blocks_of(o.cache_tokens, o.block_size);
  for (const CacheGroup& group : groups) {
    if (group.of_text()) {
      plan.blocks.push_back(blocks_of(o.text_tokens, o.block_size));
      continue;
    }
    int64_t blocks = all;
    if (group.reach < o.cache_tokens) {
      const int64_t each = group.reach + kernels::kKeyTile + 3 * o.block_size;
      blocks = std::min(all, blocks_of(o.max_sequences * each + o.token_budget, o.block_size));
    }
    plan.blocks.push_back(blocks);
  }
  return plan;
}

int64_t bytes_of(const std::vector<CacheGroup>& groups, const CachePlan& plan) {
  int64_t bytes = 0;
  for (size_t g = 0; g < groups.size(); ++g)
    bytes += plan.blocks[g] * plan.block_size * groups[g].bytes_per_token();
  return bytes;
}

int64_t cache_tokens_in(int64_t bytes, const Transformer& model, EngineOptions options) {
  const auto groups = cache_groups(model);
  int64_t low = 0, high = int64_t{1} << 40;  // low fits, high does not
  while (high - low > 1) {
    const int64_t middle = options.cache_tokens = low + (high - low) / 2;
    (bytes_of(groups, plan_cache(groups, options)) <= bytes ? low : high) = middle;
  }
  return low;
}

Engine::Engine(const Transformer& model, const EngineOptions& options)
    : model_(model),
      options_(checked(model, options)),
      room_(model),
      cache_(cache_groups(model), plan_cache(cache_groups(model), options)),
      scheduler_(options.token_budget, options.max_sequences),
      shares_prefixes_(why_prefixes_are_not_shared(model).empty()),
      whole_passes_(tokens_compete(model.config())) {
  update_statistics();
}

Engine::~Engine() = default;

// --- requests -------------------------------------------------------------------------------

std::optional<Refusal> Engine::refuse(const Request& r) const {
  using Reason = Refusal::Reason;
  const auto refusal = [](Reason reason, const char* where, std::string message) {
    return std::optional<Refusal>({reason, where, std::move(message)});
  };
  if (r.prompt.empty())
    return refusal(Reason::kInvalid, "generate",
                   "the prompt has no tokens; give at least one (a beginning-of-text "
                   "token will do)");
  const auto length = std::ssize(r.prompt);
  for (const int32_t token : r.prompt)
    if (token < 0 || token >= model_.config().vocab_size)
      return refusal(Reason::kInvalid, "prompt",
                     fmt::format("id {} is outside the vocabulary of {}; the tokenizer and "
                                 "the model must belong together",
                                 token, model_.config().vocab_size));
  if (r.choices < 1 || r.choices > options_.max_sequences)
    return refusal(Reason::kInvalid, "choices",
                   fmt::format("{}, expected 1 to {}", r.choices, options_.max_sequences));
  const int64_t wanted = r.sampling.max_new_tokens;
  if (auto why = room_.of_prompt(length); !why.empty())
    return refusal(Reason::kPromptTooLong, "prompt", std::move(why));
  if (auto why = room_.of_new_tokens(length, wanted); !why.empty())
    return refusal(Reason::kTooManyTokens, "max_new_tokens", std::move(why));
  const int64_t held = room_.before(length);
  const auto fits = [&](int64_t new_tokens) {
    const int64_t all = held + new_tokens;
    const bool at_once = whole_passes_ || moves_tokens(model_);
    return cache_.fits(all + options_.block_size,
                       at_once ? all : std::max(options_.token_budget, held), length);
  };
  if (!fits(0))
    return refusal(Reason::kPromptTooLong, "prompt",
                   fmt::format("the prompt has {} tokens, more than the cache of {} holds; "
                               "shorten it, or give the cache more memory",
                               length, options_.cache_tokens));
  if (!fits(wanted))
    return refusal(Reason::kTooManyTokens, "max_new_tokens",
                   fmt::format("{} new tokens do not fit after a prompt of {}: the "
                               "cache holds {}; ask for fewer, or give the cache more memory",
                               wanted, length, options_.cache_tokens));
  return std::nullopt;
}

Submission Engine::submit(Request request) {
  if (auto refusal = refuse(request)) return {0, std::move(refusal)};
  std::unique_ptr<Job> job;
  try {
    SamplerChain chain(request.sampling);
    job = std::make_unique<Job>(Job{0, std::move(request), std::move(chain)});
  } catch (const Error& e) {
    return {0, Refusal{Refusal::Reason::kInvalid, "sampler", e.what()}};
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
}

// Where choices can part after the prompt, one sequence reads it for all.
void Engine::begin(std::unique_ptr<Job> owned) {
  const std::shared_ptr<Job> job = std::move(owned);
  const Request& request = job->request;
  const bool together = !whole_passes_;
  std::vector<int64_t> empty;
  for (int64_t choice = 0; choice < request.choices; ++choice) {
    auto sequence = std::make_unique<Sequence>();
    sequence->id = next_sequence_++;
    sequence->job = job;
    sequence->choice = choice;
    sequence->leads = together;
    sequence->text = model_.config().body_traits().encoder
                         ? std::vector<int32_t>{decoder_start(model_.config())}
                         : request.prompt;
    sequence->begin = sequence->text.size();
    const int64_t id = sequence->id;
    sequences_[id] = std::move(sequence);
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
  const auto shares = scheduler_.plan(*this);
  if (!shares.empty()) {
    try {
      take_logits(shares, run_pass(shares));
    } catch (...) {  // what no single sequence is to blame for
      fail_all(shares, std::current_exception());
    }
    const std::lock_guard lock(mutex_);
    ++statistics_.steps;
    for (const auto& share : shares) statistics_.tokens += share.tokens;
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
  sequence.cache = cache_.open();
  int64_t cached = 0;
  if (shares_prefixes_ && job.request.share_prefix)
    cached = cache_.adopt(*sequence.cache, sequence.text, sequence.size() - 1);
  if (job.cached_tokens >= 0) return;
  job.cached_tokens = cached;
  const std::lock_guard lock(mutex_);
  statistics_.prompt_tokens += std::ssize(job.request.prompt);
  statistics_.cached_tokens += cached;
}

void Engine::start_over(Sequence& sequence) {
  if (sequence.cache) cache_.close(*sequence.cache);
  sequence.cache.reset();
  sequence.read_text = false;
}

int64_t Engine::chunk(int64_t id, int64_t most) {
  Sequence& sequence = *sequences_.at(id);
  if (!sequence.cache) open(sequence);
  int64_t held = cache_.length(*sequence.cache), rest = sequence.size() - held;
  if (model_.outgrows_cache(held, rest)) {
    start_over(sequence);
    open(sequence);
    held = 0;
    rest = sequence.size();
  }
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
  const Sequence& sequence = *sequences_.at(id);
  const Request& request = sequence.job->request;
  const int64_t all = std::ssize(sequence.text) - cache_.length(*sequence.cache) +
                      request.sampling.max_new_tokens - std::ssize(sequence.new_tokens());
  const bool with_text = model_.config().body_traits().encoder && !sequence.read_text;
  return cache_.reserve(*sequence.cache, whole_passes_ ? all : tokens,
                        with_text ? std::ssize(request.prompt) : 0);
}

void Engine::preempt(int64_t id) { start_over(*sequences_.at(id)); }

// --- a pass ---------------------------------------------------------------------------------

Tensor Engine::run_pass(const std::vector<Scheduler::Share>& shares) {
  const Body body = model_.config().body_traits();
  IdRows parts, texts;
  std::vector<PagedCache::Id> ids;
  std::vector<int32_t> prefixes;
  ModelInputs inputs;
  for (const auto& share : shares) {
    Sequence& sequence = *sequences_.at(share.id);
    const int64_t held = cache_.length(*sequence.cache);
    parts.emplace_back(sequence.text.begin() + held, sequence.text.begin() + held + share.tokens);
    texts.push_back(sequence.read_text ? std::vector<int32_t>() : sequence.job->request.prompt);
    sequence.read_text = true;
    prefixes.push_back(static_cast<int32_t>(sequence.job->prefix));
    inputs.rows.context.push_back(held);
    ids.push_back(*sequence.cache);
  }
  const Rows rows = Rows::of(parts);
  inputs.rows.ids = rows.ids;
  inputs.rows.sequences = rows.sequences;
  if (body.prefix) inputs.rows.prefix = Tensor::of<int32_t>(prefixes, {std::ssize(prefixes)});
  if (body.encoder) inputs.text = Rows::of(texts);
  cache_.begin_pass(ids);
  ModelPass pass(model_, {.cache = &cache_});
  const Tensor hidden = pass.hidden(inputs).value;
  cache_.end_pass(inputs.rows);
  // Of the sequences that are complete, the last row of each, [B,C].
  std::vector<int64_t> last;
  for (size_t b = 0; b < shares.size(); ++b) {
    const Sequence& sequence = *sequences_.at(shares[b].id);
    if (shares_prefixes_ && sequence.job->request.share_prefix)
      cache_.publish(*sequence.cache, sequence.text);
    if (cache_.length(*sequence.cache) == sequence.size())
      last.push_back(rows.sequences.first(static_cast<int64_t>(b) + 1) - 1);
  }
  if (last.empty()) return {};
  const Tensor rows_of_last(hidden.shape().with(0, std::ssize(last)), hidden.dtype());
  for (size_t i = 0; i < last.size(); ++i)
    rows_of_last.narrow(0, static_cast<int64_t>(i), 1).copy_from(hidden.narrow(0, last[i], 1));
  return pass.logits(Var(rows_of_last)).value.to(DType::kF32);
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
    for (size_t i = 0; i < all.size(); ++i) {
      std::vector<float> own(mine.begin(), mine.end());
      if (sequences_.contains(all[i])) accept(*sequences_.at(all[i]), own);
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
    const int32_t token = job.chain.next(logits, request.prompt, sequence.new_tokens(), draw);
    sequence.text.push_back(token);
    const bool goes_on = deliver(sequence, token, raw);
    if (ends(job, token))
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

namespace {

void require_shared(const Transformer& model) {
  const std::string why = why_prefixes_are_not_shared(model);
  require(why.empty(), ErrorKind::kData, "cache",
          "this model has no prefixes to keep: {}; start without a file", why);
}

}  // namespace

int64_t Engine::save_cache(const std::filesystem::path& path) const {
  require_shared(model_);
  return save_prefixes(cache_, cache_identity(model_), path);
}

int64_t Engine::load_cache(const std::filesystem::path& path) {
  require_shared(model_);
  return load_prefixes(cache_, cache_identity(model_), model_.config().vocab_size, path);
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

EngineStatistics Engine::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

}  // namespace lathe
