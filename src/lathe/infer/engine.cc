#include "lathe/infer/engine.h"

#include <algorithm>
#include <map>

#include "lathe/base/error.h"
#include "lathe/model/contiguous_cache.h"

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

// Logits of the last token of every row, [B,V] f32.
Tensor last_logits(Transformer& model, const Forward& f, const Tensor& ids) {
  const Var hidden = model.hidden(f, ids);
  const int64_t batch = ids.size(0), tokens = ids.size(1), width = hidden.value.size(-1);
  const Tensor last = hidden.value.narrow(1, tokens - 1, 1).clone().reshape({batch, width});
  return model.logits(f, Var(last)).value.to(DType::kF32);
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

}  // namespace

Engine::Engine(Transformer& model, GenerationConfig config)
    : model_(model), chain_(std::move(config)) {}

bool Engine::ends(int32_t token) const {
  const GenerationConfig& config = chain_.config();
  if (config.ignore_eos) return false;
  if (config.eos_token_id.empty()) return model_.config().eos_token_id == token;
  return std::ranges::find(config.eos_token_id, token) != config.eos_token_id.end();
}

Forward Engine::begin(const Tensor& prompts, AttentionCache& cache, EncoderMemory& memory) {
  const Body body = model_.config().body_traits();
  Forward f;
  if (body.encoder) {
    memory = model_.encode(f, prompts);
    f.memory = &memory;
  }
  if (body.prefix) f.prefix = prefixes_of(prompts, model_.config());
  f.cache = &cache;
  return f;
}

void Engine::run_rows(const GenerateRequest& request, std::span<const size_t> rows,
                      std::vector<std::vector<int32_t>>& out) {
  const auto batch = static_cast<int64_t>(rows.size());
  const auto length = static_cast<int64_t>(request.prompts[rows[0]].size());
  const int64_t budget = chain_.config().max_new_tokens;
  ContiguousCache cache(length + budget);
  Tensor prompts({batch, length}, DType::kI32);
  for (int64_t r = 0; r < batch; ++r)
    std::ranges::copy(request.prompts[rows[static_cast<size_t>(r)]],
                      prompts.data<int32_t>() + r * length);
  EncoderMemory memory;
  const Forward f = begin(prompts, cache, memory);
  // An encoder reads the prompt; its decoder begins with one token.
  const Tensor first =
      f.memory != nullptr ? filled({batch, 1}, decoder_start(model_.config())) : prompts;
  std::vector<char> running(rows.size(), 1);
  const Rng seed(static_cast<uint64_t>(chain_.config().seed));
  Tensor next({batch, 1}, DType::kI32);
  for (int64_t step = 0; step < budget; ++step) {
    const Tensor logits = last_logits(model_, f, step == 0 ? first : next);
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
  std::map<size_t, std::vector<size_t>> by_length;
  for (size_t row = 0; row < request.prompts.size(); ++row) {
    require(!request.prompts[row].empty(), ErrorKind::kData, "generate",
            "prompt {} has no tokens; give at least one (a beginning-of-text token will do)", row);
    by_length[request.prompts[row].size()].push_back(row);
  }
  std::vector<std::vector<int32_t>> out(request.prompts.size());
  if (chain_.config().max_new_tokens == 0) return out;
  for (const auto& [length, rows] : by_length) run_rows(request, rows, out);
  return out;
}

}  // namespace lathe
