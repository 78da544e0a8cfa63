// From the states of a text's tokens to one vector, as Pooling of sentence-transformers does it
// (https://github.com/UKPLab/sentence-transformers, 6.0.1).
//
// h_t: the state of token t of T, from 1, special tokens included. Each value of the vector is
//
//   mean            Σ h_t / T
//   mean_sqrt       Σ h_t / √T
//   weighted_mean   Σ t·h_t / Σ t
//   max             max h_t
//   cls             h_1
//   last_token      h_T
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/ops/rows.h"

namespace lathe {

enum class Pooling : uint8_t { kCls, kMax, kMean, kMeanSqrt, kWeightedMean, kLastToken };

// By its name in `pooling_mode`: "cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken".
std::optional<Pooling> find_pooling(std::string_view name);
std::vector<std::string> pooling_names();

// states f32 [N,C] of `texts`, none of which is empty -> f32 [B, poolings·C], the vectors of several poolings one behind
// the other. Sums are taken in double, token by token, so that a text's vector does not depend on the others. Thread-safe.
Tensor pooled(const Tensor& states, const Sequences& texts, std::span<const Pooling> poolings);

}  // namespace lathe
