#include "lathe/ops/attention_bias.h"

#include <bit>
#include <cmath>

#include "lathe/ops/common.h"

namespace lathe::ops {

int64_t distance_bucket(int64_t relative_position, const BucketSpec& spec) {
  int64_t buckets = spec.buckets, first = 0, distance = std::max<int64_t>(-relative_position, 0);
  if (spec.bidirectional) {
    buckets /= 2;
    if (relative_position > 0) first = buckets;
    distance = std::abs(relative_position);
  }
  const int64_t exact = buckets / 2;
  if (distance < exact) return first + distance;
  // f32 tensors meet f64 scalars, which PyTorch rounds to f32 first.
  const auto range = static_cast<float>(
      std::log(static_cast<double>(spec.max_distance) / static_cast<double>(exact)));
  const float logarithm = std::log(static_cast<float>(distance) / static_cast<float>(exact));
  const float steps = logarithm / range * static_cast<float>(buckets - exact);
  return first + std::min(exact + static_cast<int64_t>(steps), buckets - 1);
}

namespace {

void require_buckets(const Var& weight, const BucketSpec& spec) {
  constexpr std::string_view kOp = "distance_bias_from_buckets";
  require(weight.value.rank() == 2, ErrorKind::kShape, kOp, "weight has shape {}, expected [N, H]",
          weight.shape());
  require(weight.shape()[0] == spec.buckets, ErrorKind::kConfig, kOp,
          "weight {} has {} rows for {} buckets", weight.shape(), weight.shape()[0], spec.buckets);
  const int64_t exact = spec.buckets / (spec.bidirectional ? 4 : 2);
  require(exact > 0 && spec.max_distance > exact, ErrorKind::kConfig, kOp,
          "{} buckets up to a distance of {}: expected at least {} and more than {}", spec.buckets,
          spec.max_distance, spec.bidirectional ? 4 : 2, exact);
}

}  // namespace

DistanceBias distance_bias_from_buckets(const Var& weight, const BucketSpec& spec) {
  require_buckets(weight, spec);
  const int64_t reach = spec.max_distance, last = spec.bidirectional ? reach : 0;
  const int64_t entries = reach + last + 1, heads = weight.shape()[1];
  const Tensor ids({entries}, DType::kI32);
  for (int64_t i = 0; i < entries; ++i)
    ids.data<int32_t>()[i] = static_cast<int32_t>(distance_bucket(i - reach, spec));
  const auto& k = kernels_of(weight.value);
  const DType wide = accumulation_type(weight.value.dtype());
  const Tensor rows({entries, heads}, weight.value.dtype(), weight.value.device());
  const Tensor table({heads, entries}, wide, weight.value.device());
  k.embedding(weight.value, ids, rows);
  k.cast(rows.transpose(0, 1), table);
  auto backward = [weight = weight.ref(), ids, &k](Gradients& g) {
    const Tensor& dtable = g.of_output();
    const Tensor drows({dtable.size(1), dtable.size(0)}, dtable.dtype(), dtable.device());
    k.cast(dtable.transpose(0, 1), drows);
    const GradientTarget d = g.target(weight);
    if (d.write == kernels::Write::kOverwrite) d.target.fill_zero();
    k.embedding_backward(ids, drows, d.target);
  };
  return {record("distance_bias_from_buckets", table, {&weight}, std::move(backward)), reach};
}

std::vector<double> alibi_slopes(int64_t heads) {
  const auto below = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(heads)));
  std::vector<double> slopes;
  const auto slope = [](int64_t i, int64_t of) {
    return std::exp2(-8.0 * static_cast<double>(i) / static_cast<double>(of));
  };
  for (int64_t i = 1; i <= below; ++i) slopes.push_back(slope(i, below));
  for (int64_t i = 1; below + (i + 1) / 2 <= heads; i += 2) slopes.push_back(slope(i, 2 * below));
  return slopes;
}

DistanceBias alibi_bias(int64_t heads, int64_t reach, const Tensor& like, bool causal) {
  require(heads > 0 && reach > 0, ErrorKind::kConfig, "alibi_bias",
          "{} heads over {} distances: both must be at least 1", heads, reach);
  const std::vector<double> slopes = alibi_slopes(heads);
  const int64_t entries = causal ? reach : 2 * reach - 1;
  // Made for every pass, while decoding too: straight in its own type.
  const Tensor table({heads, entries}, accumulation_type(like.dtype()), like.device());
  visit_floating(table.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* to = table.data<T>();
    for (const double slope : slopes)
      for (int64_t i = 0; i < entries; ++i)
        *to++ = from_double<T>(-slope * static_cast<double>(std::abs(reach - 1 - i)));
  });
  return {Var(table), reach - 1};
}

}  // namespace lathe::ops
