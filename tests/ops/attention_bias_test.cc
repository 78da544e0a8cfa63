// Tables of biases by distance: T5's buckets, ALiBi's slopes, and attention with a bias of keys.
#include "lathe/ops/attention_bias.h"

#include "ops/harness.h"

namespace lathe::testing {
namespace {

// Where the bucket changes: the first distance of each.
std::vector<int64_t> edges(const ops::BucketSpec& spec, int64_t sign) {
  std::vector<int64_t> first;
  int64_t last = -1;
  for (int64_t d = sign > 0 ? 1 : 0; d < 2000; ++d) {
    const int64_t bucket = ops::distance_bucket(sign * d, spec);
    EXPECT_GE(bucket, last);
    if (bucket != last) first.push_back(d);
    last = bucket;
  }
  return first;
}

TEST(DistanceBias, BeyondItsTableNothingChanges) {
  for (const ops::BucketSpec spec : {ops::BucketSpec{},
                                     {.bidirectional = false},
                                     {.buckets = 20, .max_distance = 33},
                                     {.buckets = 4, .max_distance = 500, .bidirectional = false}})
    for (const int64_t sign : {-1, 1})
      for (int64_t d = spec.max_distance; d < 20 * spec.max_distance; ++d)
        ASSERT_EQ(ops::distance_bucket(sign * d, spec),
                  ops::distance_bucket(sign * spec.max_distance, spec))
            << d;
}

TEST(DistanceBias, HoldsTheBucketOfEachDistance) {
  for (const bool bidirectional : {false, true}) {
    const ops::BucketSpec spec{.buckets = 8, .max_distance = 9, .bidirectional = bidirectional};
    Values weight;
    for (int i = 0; i < 16; ++i) weight.push_back(i);
    const auto bias =
        ops::distance_bias_from_buckets(tensor_of(weight, {8, 2}, DType::kF32, Device::kCpu), spec);
    const Values table = bias.table.value.to_vector();
    const auto entries = static_cast<int64_t>(table.size()) / 2;
    for (int64_t d = -20; d <= (bidirectional ? 20 : 0); ++d) {
      const int64_t at = std::clamp<int64_t>(d + bias.offset, 0, entries - 1);
      for (int64_t h = 0; h < 2; ++h)
        EXPECT_EQ(table[static_cast<size_t>(h * entries + at)],
                  static_cast<double>(2 * ops::distance_bucket(d, spec) + h))
            << d;
    }
  }
}

TEST(Alibi, SlopesAreThoseOfThePaper) {
  EXPECT_EQ(ops::alibi_slopes(8), (std::vector<double>{0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625,
                                                       0.0078125, 0.00390625}));
  EXPECT_EQ(ops::alibi_slopes(1), std::vector<double>{0.00390625});
  const std::vector<double> twelve = ops::alibi_slopes(12);
  ASSERT_EQ(twelve.size(), 12u);
  for (size_t i = 0; i < 4; ++i)  // 2^-0.5, 2^-1.5, … follow the eight of above
    EXPECT_DOUBLE_EQ(twelve[8 + i], std::exp2(-0.5 - static_cast<double>(i)));
}

TEST(Alibi, FallsWithTheDistance) {
  const Tensor like({1}, DType::kBF16);
  const auto bias = ops::alibi_bias(2, 5, like);
  EXPECT_EQ(bias.offset, 4);
  EXPECT_EQ(bias.table.value.to_vector(), (Values{-4. / 16, -3. / 16, -2. / 16, -1. / 16, 0,
                                                  -4. / 256, -3. / 256, -2. / 256, -1. / 256, 0}));
}

// A bias that grows with the key's position by the slope is ALiBi up to a constant of each query,
// which a softmax does not see.
TEST(Alibi, IsAKeyBiasToo) {
  const Tensor q = tensor_of(random_values(12 * 3 * 4, Rng(1)), {12, 3, 4}, DType::kF32,
                             Device::kCpu),
               kv = tensor_of(random_values(12 * 3 * 4, Rng(2)), {12, 3, 4}, DType::kF32,
                              Device::kCpu);
  const std::vector<double> slopes = ops::alibi_slopes(3);
  const std::vector<int64_t> lengths{4, 6, 2};
  for (const Sequences& sequences : {Sequences::equal(2, 6), Sequences(lengths)})
    for (const int64_t width : {6, 9}) {  // a table may be wider than the longest sequence
      Values by_key;
      for (const double slope : slopes)
        for (int s = 0; s < width; ++s) by_key.push_back(slope * s);
      const Tensor bias = tensor_of(by_key, {3, width}, DType::kF32, Device::kCpu);
      const auto attend = [&](const ops::AttentionInputs& inputs) {
        return ops::attention(q, sequences, ops::KeyValues::packed(kv, kv, sequences), {}, inputs)
            .value.to_vector();
      };
      EXPECT_LE(
          error_of(attend({.key_bias = bias}), attend({.distance_bias = ops::alibi_bias(3, 6, q)})),
          1e-6);
    }
}

// The first distance of each bucket, from transformers' T5 with the arguments of its models.
TEST(DistanceBias, BucketsAreThoseOfT5) {
  EXPECT_EQ(edges({}, -1),
            (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91}));
  EXPECT_EQ(edges({}, 1),
            (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91}));
  EXPECT_EQ(
      edges({.bidirectional = false}, -1),
      (std::vector<int64_t>{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                            16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113}));
}

}  // namespace
}  // namespace lathe::testing
