// Logit bias (OpenAI API): l[id] ← l[id] + bias[id]. A removed token stays removed. Throws kConfig
// for an id outside the row: unlike a token of the text it was written by hand, and would otherwise
// have no effect without a word.
#pragma once

#include <cstdint>
#include <map>
#include <span>

namespace lathe {

void logit_bias(std::span<float> logits, const std::map<int64_t, double>& bias);

}  // namespace lathe
