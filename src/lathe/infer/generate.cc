#include "lathe/infer/generate.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/infer/contrastive_search.h"
#include "lathe/infer/engine.h"
#include "lathe/model/summary.h"

namespace lathe {
namespace {

// Of a cache in the type of the arithmetic, as much as one in f32.
int64_t bytes_per_token(const Transformer& model, const KeptOfToken& kept) {
  int64_t bytes = kept.states ? state_group(model).bytes_per_token() : 0;
  if (!kept.cache_precision)
    return bytes + model_cost(model, {.compute = DType::kF32}).cache_bytes_per_token;
  for (const CacheGroup& group : groups_of(model, {.cache_precision = kept.cache_precision}))
    bytes += group.bytes_per_token();
  return bytes;
}

// The new tokens after a prompt for which the memory of the machine suffices, if each takes
// `token_bytes` in a cache.
int64_t memory_room(const Transformer& model, int64_t length, int64_t rows, int64_t token_bytes) {
  const int64_t memory = memory_for_caches();
  if (memory <= 0) return std::numeric_limits<int32_t>::max();
  const int64_t token = std::max<int64_t>(1, token_bytes * rows);
  return std::max<int64_t>(1, memory / token - Room(model).before(length));
}

// The new tokens after a prompt of `length` that are held at a time.
int64_t held_new_tokens(const GenerationConfig& config, const GenerateRequest& request,
                        int64_t length) {
  if (!request.context_shift && !request.streaming) return config.max_new_tokens;
  const int64_t most = request.streaming ? request.streaming->sinks + request.streaming->window
                                         : request.context_shift->context;
  return std::min(config.max_new_tokens, std::max<int64_t>(0, most - length));
}

void require_prompt_fits(const Room& room, int64_t length) {
  if (const std::string why = room.of_prompt(length); !why.empty())
    throw Error(ErrorKind::kData, "prompt", why);
}

void check(const Transformer& model, const GenerationConfig& config,
           const GenerateRequest& request) {
  const IdRows& prompts = request.prompts;
  const Room room(model);
  const bool contrastive = config.contrastive();
  if (contrastive) ContrastiveSearch::check(config);
  const auto rows = std::ssize(prompts) * config.open_texts();
  const int64_t token_bytes = bytes_per_token(model, {request.cache_precision, contrastive});
  for (size_t row = 0; row < prompts.size(); ++row) {
    const auto length = std::ssize(prompts[row]);
    const int64_t wanted = held_new_tokens(config, request, length);
    require(length > 0, ErrorKind::kData, "generate",
            "prompt {} has no tokens; give at least one (a beginning-of-text token will do)", row);
    require_prompt_fits(room, length);
    const int64_t most = memory_room(model, length, rows, token_bytes);
    const std::string why = room.of_new_tokens(length, wanted, contrastive);
    if (!why.empty() && room.new_tokens(length, contrastive) <= most)
      throw Error(ErrorKind::kData, "max_new_tokens", why);
    require(wanted <= most, ErrorKind::kData, "max_new_tokens",
            "{} new tokens do not fit after a prompt of {}: keys and values need {} per token, and "
            "half of this machine's memory is {}; ask for at most {}",
            wanted, length, human_bytes(static_cast<double>(token_bytes)),
            human_bytes(static_cast<double>(memory_for_caches())), most);
  }
}

// Room for all rows at once, so that none has to wait or to be computed again.
EngineOptions options_for(const Transformer& model, const GenerationConfig& config,
                          const GenerateRequest& request) {
  const IdRows& prompts = request.prompts;
  EngineOptions o{.token_budget = 2048, .commit_memory = false, .streaming = request.streaming};
  o.cache_precision = request.cache_precision;
  o.max_sequences = std::min<int64_t>(256, std::ssize(prompts) * config.open_texts());
  o.max_queue = std::max<int64_t>(1, std::ssize(prompts));
  const Room room(model);
  o.cache_tokens = o.text_tokens = 0;
  for (const auto& prompt : prompts) {
    const auto rounded = [&](int64_t tokens) { return tokens + 2 * o.block_size; };
    const auto length = std::ssize(prompt);
    // What a streamed text gives back is the plan's concern.
    const int64_t more = request.streaming ? std::min<int64_t>(config.max_new_tokens,
                                                               std::numeric_limits<int32_t>::max())
                                           : held_new_tokens(config, request, length);
    o.cache_tokens += config.open_texts() * rounded(room.before(length) + more);
    o.text_tokens += rounded(std::ssize(prompt));
  }
  if (config.contrastive()) o.state_tokens = o.cache_tokens;
  return o;
}

}  // namespace

int64_t room_after(const Transformer& model, int64_t length, int64_t rows,
                   const KeptOfToken& kept) {
  const Room room(model);
  require_prompt_fits(room, length);
  return std::min(room.new_tokens(length, kept.states),
                  memory_room(model, length, rows, bytes_per_token(model, kept)));
}

IdRows generate(const Transformer& model, const GenerationConfig& config,
                const GenerateRequest& request) {
  IdRows out(request.prompts.size());
  if (out.empty()) return out;
  check(model, config, request);
  if (config.max_new_tokens == 0) {
    for (size_t row = 0; row < out.size() && request.on_finish; ++row)
      request.on_finish(row, {.reason = FinishReason::kLength});
    return out;
  }
  EngineOptions options = options_for(model, config, request);
  options.draft_tokens = request.speculation.draft_tokens;
  Engine engine(model, options, request.speculation.drafter(options));
  const std::vector<std::string> adapters = engine.load_adapters(request.adaptation.loras);
  std::exception_ptr error;
  size_t ended = 0;
  for (size_t row = 0; row < out.size(); ++row) {
    const auto on_token = [&, row](const NewToken& token) {
      out[row].push_back(token.token);
      return !request.on_token || request.on_token(row, token.token);
    };
    const auto on_finish = [&, row](const Finished& end) {
      ++ended;
      if (request.on_finish) request.on_finish(row, end);
      if (!end.error || error) return;
      error = end.error;
      engine.stop(/*cancel_open=*/true);
    };
    const Submission taken = engine.submit({.prompt = request.prompts[row],
                                            .sampling = config,
                                            .stream = row,
                                            .constraint = request.constraint,
                                            .adapters = adapters,
                                            .steering = request.adaptation.steering,
                                            .context_shift = request.context_shift,
                                            .share_prefix = false,
                                            .on_token = on_token,
                                            .on_finish = on_finish});
    if (taken.refusal) throw Error(ErrorKind::kData, taken.refusal->where, taken.refusal->message);
  }
  engine.run();
  if (error) std::rethrow_exception(error);
  if (ended != out.size()) throw std::logic_error("the engine stopped before all rows had ended");
  if (request.on_end) request.on_end(engine.statistics());
  return out;
}

}  // namespace lathe
