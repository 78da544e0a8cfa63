// Temperature (Ackley et al. 1985): l ← (l − max l) / temperature. The subtraction, which
// transformers leaves out, changes no probability and keeps any temperature above 0 from
// overflowing. Temperature 0 is greedy and is not handled here. This file also has the greedy
// choice.
#pragma once

#include <cstdint>
#include <span>

namespace lathe {

void temperature(std::span<float> logits, double temperature);

// The id of the largest logit, the lowest such id on ties; logits is not empty and has no NaN.
int32_t greedy_choice(std::span<const float> logits);

}  // namespace lathe
