#include "lathe/infer/engine.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "lathe/base/error.h"
#include "lathe/base/process.h"
#include "lathe/base/strings.h"
#include "lathe/infer/contiguous_cache.h"
#include "lathe/model/model_pass.h"
#include "lathe/model/summary.h"

namespace lathe {
namespace {

int32_t decoder_start(const ModelConfig& c) {
  const auto id = c.decoder_start();
  require(id.has_value(), ErrorKind::kConfig, "decoder_start_token_id",
          "config.json sets neither this nor pad_token_id; the decoder needs an id to start with");
  return static_cast<int32_t>(*id);
}

// How many tokens of each prompt a prefix decoder sees from everywhere. A beginning-of-text token
// at the end begins the answer (ChatGLM's <sop>).
Tensor prefixes_of(const IdRows& prompts, const ModelConfig& c) {
  Tensor prefix({static_cast<int64_t>(prompts.size())}, DType::kI32);
  for (size_t row = 0; row < prompts.size(); ++row) {
    const bool begun = c.bos_token_id == prompts[row].back();
    prefix.data<int32_t>()[row] = static_cast<int32_t>(prompts[row].size()) - (begun ? 1 : 0);
  }
  return prefix;
}

// The last row of each sequence of x [N,C], as [B,C].
Tensor last_rows(const Tensor& x, const Sequences& sequences) {
  Tensor last(x.shape().with(0, sequences.count()), x.dtype(), x.device());
  for (int64_t b = 0; b < sequences.count(); ++b)
    last.narrow(0, b, 1).copy_from(x.narrow(0, sequences.first(b + 1) - 1, 1));
  return last;
}

// The texts so far of several rows, and the cache of their tokens.
class Texts {
 public:
  // `prompts` is what a decoder begins with; of a body with an encoder `text` is what that reads.
  Texts(const Transformer& model, IdRows prompts, int64_t capacity)
      : model_(model), texts_(std::move(prompts)), capacity_(capacity) {
    begin();
  }
  void give_text(IdRows text) { text_ = Rows::of(text); }
  void set_prefix(Tensor prefix) { prefix_ = std::move(prefix); }

  void append(std::span<const int32_t> next) {
    for (size_t row = 0; row < texts_.size(); ++row) texts_[row].push_back(next[row]);
  }

  // Logits of the last token of every row, [B,V] f32: of the tokens that the cache does not hold,
  // or of all where they move.
  Tensor last_logits() {
    for (size_t row = 0; row < texts_.size(); ++row) {
      const int64_t held = cache_->lengths()[row];
      if (!model_.outgrows_cache(held, static_cast<int64_t>(texts_[row].size()) - held)) continue;
      begin();
      break;
    }
    const ModelInputs inputs = new_tokens();
    const Var hidden = pass_->hidden(inputs);
    cache_->advance(inputs.rows);
    return pass_->logits(Var(last_rows(hidden.value, inputs.rows.sequences))).value.to(DType::kF32);
  }

 private:
  void begin() {
    cache_.emplace(static_cast<int64_t>(texts_.size()), capacity_);
    pass_.emplace(model_, Pass{.cache = &*cache_});
    is_encoded_ = false;
  }

  ModelInputs new_tokens() {
    IdRows parts;
    for (size_t row = 0; row < texts_.size(); ++row)
      parts.emplace_back(texts_[row].begin() + cache_->lengths()[row], texts_[row].end());
    ModelInputs inputs{.rows = Rows::of(parts)};
    inputs.rows.context = cache_->lengths();
    inputs.rows.prefix = prefix_;
    if (text_ && !is_encoded_) inputs.text = text_;
    is_encoded_ = true;
    return inputs;
  }

  const Transformer& model_;
  IdRows texts_;
  std::optional<Rows> text_;
  Tensor prefix_;
  std::optional<ContiguousCache> cache_;
  std::optional<ModelPass> pass_;
  bool is_encoded_ = false;
  int64_t capacity_;
};

}  // namespace

Engine::Engine(const Transformer& model, GenerationConfig config)
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
    require(
        !most || length <= *most, ErrorKind::kData, "prompt",
        "the prompt has {} tokens, but only {} positions were trained; shorten it to at most {}",
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
            "{} new tokens do not fit after a prompt of {}: {}; ask for at most {}", wanted, length,
            positions && *positions - length < most
                ? fmt::format("{} positions were trained", *positions)
                : fmt::format(
                      "keys and values need {} per token, and half of this machine's memory is {}",
                      human_bytes(static_cast<double>(cache_bytes_per_token_)),
                      human_bytes(static_cast<double>(physical_memory_bytes() / 2))),
            most);
  }
}

void Engine::generate_together(const GenerateRequest& request, std::span<const size_t> rows,
                               IdRows& out) {
  const ModelConfig& config = model_.config();
  const Body body = config.body_traits();
  const int64_t budget = chain_.config().max_new_tokens;
  IdRows prompts;
  size_t longest = 0;
  for (const size_t row : rows) {
    prompts.push_back(request.prompts[row]);
    longest = std::max(longest, prompts.back().size());
  }
  // An encoder reads the prompt; its decoder begins with one token.
  const IdRows starts(prompts.size(), {body.encoder ? decoder_start(config) : 0});
  Texts texts(model_, body.encoder ? starts : prompts, static_cast<int64_t>(longest) + budget);
  if (body.encoder) texts.give_text(prompts);
  if (body.prefix) texts.set_prefix(prefixes_of(prompts, config));
  std::vector<char> running(rows.size(), 1);
  std::vector<int32_t> next(rows.size(), 0);
  std::vector<SamplerState> states(rows.size());
  const Rng seed(static_cast<uint64_t>(chain_.config().seed));
  for (int64_t step = 0; step < budget; ++step) {
    if (step > 0) texts.append(next);
    const Tensor logits = texts.last_logits();
    const int64_t vocabulary = logits.size(1);
    for (size_t r = 0; r < rows.size(); ++r) {
      if (!running[r]) continue;
      const size_t row = rows[r];
      const std::span<float> scores(logits.data<float>() + static_cast<int64_t>(r) * vocabulary,
                                    static_cast<size_t>(vocabulary));
      const Rng draw = seed.fork(row).fork(static_cast<uint64_t>(step));
      next[r] = chain_.next(scores, {request.prompts[row], out[row]}, draw, states[r]);
      out[row].push_back(next[r]);
      if (ends(next[r]) || (request.on_token && !request.on_token(row, next[r]))) running[r] = 0;
    }
    if (std::ranges::none_of(running, [](char on) { return on != 0; })) return;
  }
}

IdRows Engine::generate(const GenerateRequest& request) {
  require(model_.config().body_traits().causal, ErrorKind::kData, "generate",
          "body \"{}\" predicts hidden tokens in place and cannot continue a text",
          model_.config().body);
  check(request);
  std::map<size_t, std::vector<size_t>> by_length;
  for (size_t row = 0; row < request.prompts.size(); ++row)
    by_length[request.prompts[row].size()].push_back(row);
  IdRows out(request.prompts.size());
  if (chain_.config().max_new_tokens == 0) return out;
  for (const auto& [length, rows] : by_length) generate_together(request, rows, out);
  return out;
}

}  // namespace lathe
