// DRY, "don't repeat yourself" (Weidmann 2024, in text-generation-webui): a penalty that grows with
// the length of the passage being repeated.
//
// Let n(t) be the length of the longest passage that ends the text so far and also occurs earlier
// followed by token t, within the last `range` tokens. For n(t) >= allowed_length:
//
//   l[t] ← l[t] − multiplier · base^(n(t) − allowed_length)
//
// A passage does not reach across a sequence breaker, and a breaker itself is never penalised. The
// penalty is at most 1e30, so that a token is never ruled out. Time is linear in the history, also
// for a text that is one token over and over.
#pragma once

#include <cstdint>
#include <span>

#include "lathe/infer/sampler/samplers.h"

namespace lathe {

struct DrySpec {
  double multiplier, base;
  int64_t allowed_length;
  int64_t range;  // 0: the whole history
  std::span<const int64_t> breakers;
};

void dry(std::span<float> logits, const TokenHistory& history, const DrySpec& spec);

}  // namespace lathe
