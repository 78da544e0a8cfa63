// The law of NEFTune's noise: uniform within α / √(L·d) of each sequence, in training passes alone.

#include "lathe/train/answers/embedding_noise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "lathe/ops/dot.h"

namespace lathe {
namespace {

constexpr int64_t kWidth = 64;

Parameter table() {
  Parameter p({4, kWidth}, {Initializer::Kind::kZeros, 0});
  p.name = "embedding.weight";
  return p;
}

// What is added to rows of zeros.
std::vector<double> noise_of(const IdRows& sequences, double alpha, const Rng& rng,
                             DType dtype = DType::kF32, int64_t virtual_tokens = 0) {
  const ModelInputs inputs{.rows = Rows::of(sequences)};
  const EmbeddingNoise noise(alpha, inputs, rng, nullptr);
  const int64_t rows = inputs.rows.tokens() + virtual_tokens * std::ssize(sequences);
  return noise
      .add_to_lookup({}, table(), Tensor::zeros({rows}, DType::kI32),
                     Var(Tensor::zeros({rows, kWidth}, dtype)))
      .value.to_vector();
}

TEST(EmbeddingNoise, IsUniformWithinAlphaOverTheRootOfLengthTimesWidth) {
  const IdRows sequences = {std::vector<int32_t>(100, 1), std::vector<int32_t>(25, 1)};
  const double alpha = 5;
  const std::vector<double> noise = noise_of(sequences, alpha, Rng(3));
  const auto check = [&](size_t first, size_t rows) {
    const double bound = alpha / std::sqrt(static_cast<double>(rows) * kWidth);
    const size_t count = rows * kWidth;
    double sum = 0, squares = 0, most = 0;
    std::vector<int> tenths(10);
    for (size_t i = first * kWidth; i < (first + rows) * kWidth; ++i) {
      sum += noise[i];
      squares += noise[i] * noise[i];
      most = std::max(most, std::abs(noise[i]));
      ++tenths.at(std::min<size_t>(9, static_cast<size_t>((noise[i] / bound + 1) * 5)));
    }
    const double n = static_cast<double>(count), deviation = bound / std::sqrt(3.0);
    EXPECT_LE(most, bound * (1 + 1e-6));
    EXPECT_GT(most, 0.99 * bound);
    EXPECT_LT(std::abs(sum / n), 4 * deviation / std::sqrt(n));
    EXPECT_NEAR(std::sqrt(squares / n), deviation, 0.03 * deviation);
    for (const int tenth : tenths) EXPECT_NEAR(tenth, n / 10, 4 * std::sqrt(n * 0.09));
  };
  check(0, 100);
  check(100, 25);
}

TEST(EmbeddingNoise, IsAFunctionOfItsStream) {
  const IdRows one = {std::vector<int32_t>(7, 1)};
  EXPECT_EQ(noise_of(one, 5, Rng(3)), noise_of(one, 5, Rng(3)));
  EXPECT_NE(noise_of(one, 5, Rng(3)), noise_of(one, 5, Rng(4)));
  // What is computed beside a sequence does not change its noise.
  const std::vector<double> both = noise_of({one[0], std::vector<int32_t>(90, 1)}, 5, Rng(3));
  EXPECT_EQ(std::vector<double>(both.begin(), both.begin() + 7 * kWidth), noise_of(one, 5, Rng(3)));
  // Virtual tokens have none and do not count in its length.
  const std::vector<double> behind = noise_of(one, 5, Rng(3), DType::kF32, 3);
  for (size_t i = 0; i < 3 * kWidth; ++i) EXPECT_EQ(behind[i], 0);
  for (size_t i = 0; i < 7 * kWidth; ++i) EXPECT_EQ(behind[i + 3 * kWidth], both[i]);
  const std::vector<double> half = noise_of(one, 5, Rng(3), DType::kBF16);
  for (size_t i = 0; i < half.size(); ++i) EXPECT_NEAR(half[i], both[i], std::abs(both[i]) / 200);
}

TEST(EmbeddingNoise, LeavesGradientsAndOtherTablesAlone) {
  const ModelInputs inputs{.rows = Rows::of(IdRows{{1, 2, 3}})};
  const EmbeddingNoise noise(5, inputs, Rng(3), nullptr);
  const Tensor x = Tensor::zeros({3, kWidth}, DType::kF32);
  Parameter other = table();
  other.name = "token_types.weight";
  EXPECT_EQ(noise.add_to_lookup({}, other, inputs.rows.ids, Var(x)).value.raw(), x.raw());
  Tape tape;
  const Var leaf = tape.leaf(x);
  std::vector<double> weights(3 * kWidth);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<double>(i % 7) - 3;
  tape.backward(ops::dot(noise.add_to_lookup({}, table(), inputs.rows.ids, leaf), weights));
  EXPECT_EQ(tape.grad(leaf).to_vector(), weights);
  // An encoder's text has its own lengths and stream.
  ModelInputs both{.rows = Rows::of(IdRows{{1, 2, 3}})};
  both.text = Rows::of(IdRows{{1, 2, 3, 4, 5}});
  const EmbeddingNoise of_both(5, both, Rng(3), nullptr);
  const Tensor text = Tensor::zeros({5, kWidth}, DType::kF32);
  const auto read =
      of_both.of_text().add_to_lookup({}, table(), both.text->ids, Var(text)).value.to_vector();
  const auto written = of_both.add_to_lookup({}, table(), both.rows.ids, Var(x)).value.to_vector();
  EXPECT_NE(std::vector<double>(read.begin(), read.begin() + 3 * kWidth), written);
  EXPECT_LE(std::abs(*std::ranges::max_element(read)), 5 / std::sqrt(5.0 * kWidth) * (1 + 1e-6));
}

}  // namespace
}  // namespace lathe
