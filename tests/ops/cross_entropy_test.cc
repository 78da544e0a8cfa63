// The loss of a head beyond its gradient (ops_test.cc): chunks, single labels, and impossible ones.
#include "lathe/ops/cross_entropy.h"

#include "ops/harness.h"

namespace lathe::testing {
namespace {

Tensor indices(const std::vector<int32_t>& values, const Shape& shape) {
  return Tensor::of<int32_t>(values, shape);
}

// More rows than one chunk of logits holds, with the last chunk partly filled and one wholly
// ignored.
TEST(CrossEntropy, DoesNotDependOnChunks) {
  constexpr int64_t kRows = 300, kWidth = 3, kVocabulary = 40000;  // chunks of 128 rows
  const Tensor hidden =
      tensor_of(random_values(kRows * kWidth, Rng(1)), {kRows, kWidth}, DType::kF32, Device::kCpu);
  const Tensor head = tensor_of(random_values(kVocabulary * kWidth, Rng(2)), {kVocabulary, kWidth},
                                DType::kF32, Device::kCpu);
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < kRows; ++i)
    labels.push_back(i >= 128 && i < 256 ? -1 : static_cast<int32_t>(Rng(3).below(i, kVocabulary)));
  GradBuffer whole{Tensor(head.shape(), DType::kF32)}, rows{Tensor(head.shape(), DType::kF32)};
  Tape tape;
  const Var x = tape.leaf(hidden);
  const Var loss = ops::linear_cross_entropy(x, tape.leaf(head, &whole), indices(labels, {kRows}));
  tape.backward(loss);
  // The same, a few rows at a time.
  double sum = 0;
  Values dhidden;
  for (int64_t first = 0; first < kRows; first += 50) {
    Tape part;
    const Var y = part.leaf(hidden.narrow(0, first, 50).clone());
    const std::vector<int32_t> some(labels.begin() + first, labels.begin() + first + 50);
    const Var l = ops::linear_cross_entropy(y, part.leaf(head, &rows), indices(some, {50}),
                                            {.normalizer = 172});
    part.backward(l);
    sum += l.value.item();
    const Values d = part.grad(y).to_vector();
    dhidden.insert(dhidden.end(), d.begin(), d.end());
  }
  EXPECT_NEAR(loss.value.item(), sum, 1e-5);
  EXPECT_LE(error_of(tape.grad(x).to_vector(), dhidden), 1e-5);
  EXPECT_LE(error_of(whole.tensor.to_vector(), rows.tensor.to_vector()), 1e-5);
}

TEST(CrossEntropy, GivesTheLossOfEachLabel) {
  const Tensor hidden = tensor_of(random_values(9, Rng(1)), {3, 3}, DType::kF64, Device::kRef);
  const Tensor head = tensor_of(random_values(15, Rng(2)), {5, 3}, DType::kF64, Device::kRef);
  const std::vector<int32_t> labels = {4, -1, 0};
  Tensor losses;
  ops::linear_cross_entropy(Var(hidden), Var(head), indices(labels, {3}),
                            {.normalizer = 7, .z_loss = 0.1, .losses = &losses});
  const Values each = losses.to_vector();
  ASSERT_EQ(each.size(), 3u);
  EXPECT_EQ(each[1], 0);
  for (const int64_t i : {0, 2}) {
    const Var alone = ops::linear_cross_entropy(Var(hidden.narrow(0, i, 1)), Var(head),
                                                indices({labels[static_cast<size_t>(i)]}, {1}));
    EXPECT_NEAR(each[static_cast<size_t>(i)], alone.value.item(), 1e-12);
  }
}

// A label of probability 0 has an infinite loss; the z-loss of its row and the gradients are those
// of the other tokens.
TEST(CrossEntropy, KeepsTheZLossOfAnImpossibleLabelFinite) {
  const double c = 0.1, none = -HUGE_VAL;
  Tape tape;
  ops::OutputHead head(Tensor::zeros({3, 1}, DType::kF64, Device::kRef));
  head.bias = tape.leaf(tensor_of({std::log(3.0), none, 0.0}, {3}, DType::kF64, Device::kRef));
  double z_term = 0;
  const Var loss = ops::linear_cross_entropy(Tensor::zeros({1, 1}, DType::kF64, Device::kRef), head,
                                             indices({1}, {1}), {.z_loss = c, .z_term = &z_term});
  EXPECT_EQ(loss.value.item(), HUGE_VAL);
  const double lse = std::log(4.0);
  EXPECT_NEAR(z_term, c * lse * lse, 1e-14);
  tape.backward(loss);
  const double a = 1 + 2 * c * lse;
  EXPECT_LE(error_of(tape.grad(head.bias).to_vector(), {a * 0.75, -1.0, a * 0.25}), 1e-14);
}

}  // namespace
}  // namespace lathe::testing
