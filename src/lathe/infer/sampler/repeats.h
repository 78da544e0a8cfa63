// Where the text so far repeats itself, shared by DRY and no-repeat n-gram.
#pragma once

#include <cstdint>
#include <vector>

#include "lathe/infer/sampler/samplers.h"

namespace lathe {

// An earlier place that reads like the end of the text: the `length` tokens before it equal the
// last `length` tokens, and `next` stood there.
struct Repeat {
  int32_t next;
  int64_t length;  // the largest that holds; 0 where nothing is repeated
};

// One entry for each of the last `range` tokens (0: all) as `next`, the latest first; only those
// tokens are looked at. Time linear in their number.
std::vector<Repeat> find_repeats(const TokenHistory& history, int64_t range);

}  // namespace lathe
