// What the engine must give for one request, without it: the prompt in one pass through a contiguous
// cache, then token by token, alone.
#pragma once

#include "lathe/constraint/constraint.h"
#include "lathe/infer/logprobs.h"
#include "lathe/infer/request.h"
#include "lathe/infer/sampler/chain.h"
#include "model/contiguous_cache.h"
#include "model/grid.h"

namespace lathe::testing {

struct Choice {
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;
  friend bool operator==(const Choice&, const Choice&) = default;
};

// For a search of any kind: a prompt, a length and penalties that the seed chooses.
inline Request request_to_search(uint64_t seed) {
  const Rng draw(seed);
  Request r;
  for (uint64_t i = 0; i < 2 + draw.below(0, 7); ++i)
    r.prompt.push_back(static_cast<int32_t>(draw.fork("ids").below(i, 11)));
  r.sampling.max_new_tokens = 1 + static_cast<int64_t>(draw.below(2, 8));
  r.sampling.repetition_penalty = draw.below(5, 2) == 0 ? 1.0 : 1.5;
  r.sampling.eos_token_id = {5};
  return r;
}

// Until max_new_tokens or the end of the constraint; other ends of texts are not looked at. Keys and
// values are kept as `cache_precision`, if given.
inline Choice choice_alone(const Transformer& model, const Request& request, int64_t choice,
                           std::optional<DType> cache_precision = {}) {
  const ModelConfig& c = model.config();
  const Body body = c.body_traits();
  const SamplerChain chain(request.sampling);
  const Rng stream = Rng(static_cast<uint64_t>(request.sampling.seed))
                         .fork(request.stream + static_cast<uint64_t>(choice));
  std::vector<int32_t> text = request.prompt;
  if (body.encoder) text = {static_cast<int32_t>(*c.decoder_start())};
  std::optional<ContiguousCache> cache;
  std::optional<ModelPass> pass;
  const auto start = [&] {
    cache.emplace(1, static_cast<int64_t>(text.size()) + request.sampling.max_new_tokens,
                  cache_precision);
    pass.emplace(model, Pass{.cache = &*cache});
  };
  start();
  Choice out;
  SamplerState sampling;
  std::optional<Matcher> matcher;
  std::vector<int32_t> forced;
  if (request.constraint) matcher = request.constraint->matcher();
  ThinkingState thinking(request.thinking ? &*request.thinking : nullptr, matcher.has_value());
  const auto find_forced = [&] {
    forced = thinking.forced();
    if (!matcher || (forced.empty() && !thinking.over())) return;
    for (const int32_t token : matcher->forced_tokens()) forced.push_back(token);
  };
  const auto take = [&](int32_t token) {
    if (!thinking.take(token) && matcher) matcher->accept(token);
  };
  const auto mask = [&](std::span<float> next) {
    if (thinking.inside())
      for (const int32_t id : request.constraint->vocabulary().ends())
        next[static_cast<size_t>(id)] = -std::numeric_limits<float>::infinity();
    if (thinking.inside()) return;
    const std::vector<float> all(next.begin(), next.end());
    keep_allowed(*matcher->mask(), next);
    if (!thinking.may_open()) return;
    const auto open = static_cast<size_t>(request.thinking->open);
    next[open] = all[open];
  };
  find_forced();
  while (std::ssize(out.tokens) < request.sampling.max_new_tokens) {
    if (model.outgrows_cache(cache->lengths()[0], std::ssize(text) - cache->lengths()[0])) start();
    const int64_t held = cache->lengths()[0];
    ModelInputs inputs{.rows = Rows::of(IdRows{{text.begin() + held, text.end()}})};
    inputs.rows.context = {held};
    if (body.prefix) {
      const bool begun = c.bos_token_id == request.prompt.back();
      inputs.rows.prefix = Tensor::of<int32_t>(
          std::vector<int32_t>{static_cast<int32_t>(request.prompt.size()) - (begun ? 1 : 0)}, {1});
    }
    if (body.encoder && held == 0) inputs.text = Rows::of(IdRows{request.prompt});
    const Tensor hidden = pass->hidden(inputs).value;
    cache->advance(inputs.rows);
    const Tensor last = hidden.narrow(0, hidden.size(0) - 1, 1).clone();
    const Tensor logits = pass->logits(Var(last)).value.to(DType::kF32).clone();
    std::vector<float> raw(logits.span<float>().begin(), logits.span<float>().end());
    int32_t token = 0;
    if (!forced.empty()) {
      token = forced.front();
      forced.erase(forced.begin());
      take(token);
    } else {
      if (matcher) mask(logits.span<float>());
      token = chain.next(logits.span<float>(), {request.prompt, out.tokens},
                         stream.fork(out.tokens.size()), sampling);
      take(token);
      find_forced();
    }
    out.tokens.push_back(token);
    out.logprobs.push_back(Logprobs(raw).of(token));
    text.push_back(token);
    if (matcher && matcher->finished()) break;
  }
  return out;
}

}  // namespace lathe::testing
