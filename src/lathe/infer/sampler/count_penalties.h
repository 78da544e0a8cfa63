// Presence and frequency penalties as in the OpenAI API: only tokens of the answer count.
//
//   l[t] ← l[t] − frequency · count(t) − presence · [count(t) > 0]
#pragma once

#include <cstdint>
#include <span>

namespace lathe {

void count_penalties(std::span<float> logits, std::span<const int32_t> generated, double presence,
                     double frequency);

}  // namespace lathe
