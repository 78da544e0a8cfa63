// What the engine keeps of a request and of each of its choices. Only the engine's own sources
// include it.
#pragma once

#include "lathe/constraint/constraint.h"
#include "lathe/infer/engine.h"
#include "lathe/infer/sampler/chain.h"

namespace lathe {

struct Engine::Job {
  uint64_t id = 0;
  Request request;
  SamplerChain chain;
  int64_t prefix = 0;          // tokens at the beginning that see each other
  int64_t cached_tokens = -1;  // until it begins
  Adaptation adaptation = {};
  std::string adaptation_identity = {};
  PrefixIndex::Link root = {};  // of its prefixes
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
  std::optional<Matcher> matcher = {};
  SamplerState sampling = {};  // what samplers remember of the tokens so far

  std::span<const int32_t> new_tokens() const { return std::span(text).subspan(begin); }
  int64_t size() const { return static_cast<int64_t>(text.size()); }
};

}  // namespace lathe
