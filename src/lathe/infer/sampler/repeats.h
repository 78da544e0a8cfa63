// Finds where the text so far repeats itself, for DRY and no-repeat n-gram.
#pragma once

#include <cstdint>
#include <vector>

#include "lathe/infer/sampler/samplers.h"

namespace lathe {

// An earlier place that matches the end of the text: the `length` tokens before it equal the last
// `length` tokens, and `next` follows them.
struct Repeat {
  int32_t next;
  int64_t length;  // the largest possible; 0 if nothing is repeated
};

// One entry for each of the last `range` tokens (0: all) as `next`, the latest first; only those
// tokens are looked at. Time linear in their number.
std::vector<Repeat> find_repeats(const TokenHistory& history, int64_t range);

}  // namespace lathe
