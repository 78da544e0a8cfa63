// Tables of biases by distance for attention (attention.h): T5's buckets and ALiBi.
#pragma once

#include <vector>

#include "lathe/ops/attention.h"

namespace lathe::ops {

// T5's relative positions (Raffel et al. 2020, arXiv:1910.10683): distances are divided into
// buckets; half of the buckets hold one small distance each, the others become wider and wider up
// to max_distance.
struct BucketSpec {
  int64_t buckets = 32;
  int64_t max_distance = 128;
  bool bidirectional = true;  // half of the buckets: keys after the query; else those share 0
};

// The bucket of key position minus query position. The logarithm is taken in f32 as transformers
// does (`_relative_position_bucket` of its T5), because models were trained with those edges.
int64_t distance_bucket(int64_t relative_position, const BucketSpec& spec);

// weight [N,H] of N buckets -> a table over the distances up to max_distance, beyond which the
// bucket no longer changes. Differentiable in weight. Throws kConfig if the buckets of `spec` are
// not N, or too few.
DistanceBias distance_bias_from_buckets(const Var& weight, const BucketSpec& spec);

// The slopes of ALiBi (Press et al. 2022, arXiv:2108.12409): 2^(-8i/n), i = 1 … n, for n a power of
// two; else those of the power below, and every second one of the power above, as in the paper's
// code.
std::vector<double> alibi_slopes(int64_t heads);

// -slope · |p - s| for distances below `reach` (>= the number of keys), on the device and in the
// accumulation dtype of activations like `like`. With causal only keys up to the query have
// entries.
DistanceBias alibi_bias(int64_t heads, int64_t reach, const Tensor& like, bool causal = true);

}  // namespace lathe::ops
