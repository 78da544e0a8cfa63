#include "lathe/infer/engine.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "lathe/base/error.h"
#include "lathe/base/process.h"
#include "lathe/base/strings.h"
#include "lathe/infer/contiguous_cache.h"
#include "lathe/model/summary.h"

namespace lathe {
namespace {

int32_t decoder_start(const ModelConfig& c) {
  const auto id = c.decoder_start();
  require(id.has_value(), ErrorKind::kConfig, "decoder_start_token_id",
          "config.json names neither this nor pad_token_id; the decoder needs an id to begin with");
  return static_cast<int32_t>(*id);
}

Tensor filled(const Shape& shape, int32_t value) {
  Tensor t(shape, DType::kI32);
  std::ranges::fill(t.span<int32_t>(), value);
  return t;
}

// How many tokens of each prompt a prefix decoder sees from everywhere. A beginning-of-text token at
// the end begins the answer (ChatGLM's <sop>).
Tensor prefixes_of(const Tensor& prompts, const ModelConfig& c) {
  const int64_t length = prompts.size(1);
  Tensor prefix = filled({prompts.size(0)}, static_cast<int32_t>(length));
  for (int64_t row = 0; row < prompts.size(0); ++row)
    if (c.bos_token_id == prompts.data<int32_t>()[(row + 1) * length - 1])
      --prefix.data<int32_t>()[row];
  return prefix;
}

// The texts so far of equally long rows, and the cache of their tokens.
class Texts {
 public:
  Texts(Transformer& model, const Tensor& first, int64_t capacity)
      : model_(model), all_({first.size(0), capacity}, DType::kI32), capacity_(capacity) {
    append(first);
    begin();
  }

  // [B,n]: behind what is there.
  void append(const Tensor& ids) {
    all_.narrow(1, length_, ids.size(1)).copy_from(ids);
    length_ += ids.size(1);
  }

  // Logits of the last token of every row, [B,V] f32: of the tokens that the cache does not hold, or
  // of all where they move.
  Tensor last_logits(Forward f) {
    if (model_.outgrows_cache(cache_->length(), length_ - cache_->length())) begin();
    f.cache = &*cache_;
    const int64_t held = cache_->length();
    const Var hidden = model_.hidden(f, all_.narrow(1, held, length_ - held).clone());
    const int64_t tokens = hidden.value.size(1), width = hidden.value.size(-1);
    const Tensor last =
        hidden.value.narrow(1, tokens - 1, 1).clone().reshape({all_.size(0), width});
    return model_.logits(f, Var(last)).value.to(DType::kF32);
  }

 private:
  void begin() { cache_.emplace(capacity_); }

  Transformer& model_;
  Tensor all_;
  std::optional<ContiguousCache> cache_;
  int64_t capacity_, length_ = 0;
};

}  // namespace

Engine::Engine(Transformer& model, GenerationConfig config)
    : model_(model),
      chain_(std::move(config)),
      cache_bytes_per_token_(model_cost(model, {.compute = DType::kF32}).cache_bytes_per_token) {}

bool Engine::ends(int32_t token) const {
  const GenerationConfig& config = chain_.config();
  if (config.ignore_eos) return false;
  const auto names = [&](const std::vector<int64_t>& ids) {
    return std::ranges::find(ids, token) != ids.end();
  };
  return config.eos_token_id.empty() ? names(model_.config().eos_token_ids())
                                     : names(config.eos_token_id);
}

int64_t Engine::room(int64_t length, int64_t rows) const {
  const bool encoder = model_.config().body_traits().encoder;
  const auto fits = [&](std::optional<int64_t> most) {
    require(!most || length <= *most, ErrorKind::kData, "prompt",
            "a prompt of {} tokens, but {} positions were trained; shorten it to at most {}",
            length, most.value_or(0), most.value_or(0));
  };
  fits(encoder ? model_.longest_encoder_text() : model_.longest_text());
  const int64_t held = encoder ? 1 : length;  // what the new tokens stand behind
  int64_t room = std::numeric_limits<int32_t>::max() - held;
  // The last new token is not read again and needs no position.
  if (const auto most = model_.longest_text()) room = std::min(room, *most - held + 1);
  const int64_t memory = physical_memory_bytes() / 2;  // the rest is the model's
  const int64_t token = std::max<int64_t>(1, cache_bytes_per_token_ * rows);
  if (memory > 0) room = std::min(room, std::max<int64_t>(1, memory / token - held));
  return room;
}

void Engine::check(const GenerateRequest& request) const {
  const int64_t wanted = chain_.config().max_new_tokens;
  for (size_t row = 0; row < request.prompts.size(); ++row) {
    const auto length = static_cast<int64_t>(request.prompts[row].size());
    require(length > 0, ErrorKind::kData, "generate",
            "prompt {} has no tokens; give at least one (a beginning-of-text token will do)", row);
    const int64_t most = room(length, static_cast<int64_t>(request.prompts.size()));
    const auto positions = model_.longest_text();
    require(wanted <= most, ErrorKind::kData, "max_new_tokens",
            "{} new tokens do not fit behind a prompt of {}: {}; ask for at most {}", wanted,
            length,
            positions && *positions - length < most
                ? fmt::format("{} positions were trained", *positions)
                : fmt::format(
                      "keys and values take {} a token, and half of this machine's memory is {}",
                      human_bytes(static_cast<double>(cache_bytes_per_token_)),
                      human_bytes(static_cast<double>(physical_memory_bytes() / 2))),
            most);
  }
}

Forward Engine::begin(const Tensor& prompts, EncoderMemory& memory) {
  const Body body = model_.config().body_traits();
  Forward f;
  if (body.encoder) {
    memory = model_.encode(f, prompts);
    f.memory = &memory;
  }
  if (body.prefix) f.prefix = prefixes_of(prompts, model_.config());
  return f;
}

void Engine::run_rows(const GenerateRequest& request, std::span<const size_t> rows,
                      std::vector<std::vector<int32_t>>& out) {
  const auto batch = static_cast<int64_t>(rows.size());
  const auto length = static_cast<int64_t>(request.prompts[rows[0]].size());
  const int64_t budget = chain_.config().max_new_tokens;
  Tensor prompts({batch, length}, DType::kI32);
  for (int64_t r = 0; r < batch; ++r)
    std::ranges::copy(request.prompts[rows[static_cast<size_t>(r)]],
                      prompts.data<int32_t>() + r * length);
  EncoderMemory memory;
  const Forward f = begin(prompts, memory);
  // An encoder reads the prompt; its decoder begins with one token.
  Texts texts(model_,
              f.memory != nullptr ? filled({batch, 1}, decoder_start(model_.config())) : prompts,
              length + budget);
  std::vector<char> running(rows.size(), 1);
  const Rng seed(static_cast<uint64_t>(chain_.config().seed));
  Tensor next({batch, 1}, DType::kI32);
  for (int64_t step = 0; step < budget; ++step) {
    if (step > 0) texts.append(next);
    const Tensor logits = texts.last_logits(f);
    const int64_t vocabulary = logits.size(1);
    for (size_t r = 0; r < rows.size(); ++r) {
      if (!running[r]) continue;
      const size_t row = rows[r];
      const std::span<float> scores(logits.data<float>() + static_cast<int64_t>(r) * vocabulary,
                                    static_cast<size_t>(vocabulary));
      const Rng draw = seed.fork(row).fork(static_cast<uint64_t>(step));
      const int32_t token = chain_.next(scores, request.prompts[row], out[row], draw);
      out[row].push_back(token);
      next.data<int32_t>()[r] = token;
      if (ends(token) || (request.on_token && !request.on_token(row, token))) running[r] = 0;
    }
    if (std::ranges::none_of(running, [](char on) { return on != 0; })) return;
  }
}

std::vector<std::vector<int32_t>> Engine::generate(const GenerateRequest& request) {
  require(model_.config().body_traits().causal, ErrorKind::kData, "generate",
          "body \"{}\" predicts hidden tokens in place and cannot continue a text",
          model_.config().body);
  check(request);
  std::map<size_t, std::vector<size_t>> by_length;
  for (size_t row = 0; row < request.prompts.size(); ++row)
    by_length[request.prompts[row].size()].push_back(row);
  std::vector<std::vector<int32_t>> out(request.prompts.size());
  if (chain_.config().max_new_tokens == 0) return out;
  for (const auto& [length, rows] : by_length) run_rows(request, rows, out);
  return out;
}

}  // namespace lathe
