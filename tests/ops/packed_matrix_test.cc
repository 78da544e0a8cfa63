// Products with a weight that is not stored element by element, against the dense weight.
#include "lathe/ops/packed_matrix.h"

#include "io/temp_folder.h"
#include "lathe/ops/embedding.h"
#include "lathe/ops/linear.h"
#include "lathe/ops/moe.h"
#include "ops/harness.h"

namespace lathe::testing {
namespace {

using Vars = std::vector<Var>;

// Eighths, so that every dtype holds them exactly, in a matrix that keeps them as it likes: a byte
// each.
class Eighths : public ops::PackedMatrix {
 public:
  Eighths(int64_t outputs, int64_t inputs) : shape_{outputs, inputs} {
    for (int64_t i = 0; i < shape_.numel(); ++i)
      values_.push_back(static_cast<int8_t>(8 * Rng(13).normal(static_cast<uint64_t>(i))));
  }
  Shape shape() const override { return shape_; }
  size_t bytes() const override { return values_.size(); }
  Tensor product(const Tensor& x, const TensorView& bias, DType out) const override {
    const Tensor y({x.size(0), shape_[0]}, out, x.device());
    kernels::kernels_for(x.device())
        .matmul(x, on(x).transpose(0, 1), bias, y, kernels::Write::kOverwrite);
    return y;
  }
  Tensor product_backward(const Tensor& dy) const override {
    const Tensor dx({dy.size(0), shape_[1]}, dy.dtype(), dy.device());
    kernels::kernels_for(dy.device())
        .matmul(dy, on(dy), TensorView(), dx, kernels::Write::kOverwrite);
    return dx;
  }
  Tensor dense(DType dtype) const override {
    Values eighths;
    for (const int8_t v : values_) eighths.push_back(v / 8.0);
    return tensor_of(eighths, shape_, dtype, Device::kCpu);
  }
  Tensor lookup(const Tensor& ids, DType dtype) const override {
    return ops::embedding(Var(dense(dtype)), ids).value;
  }
  std::shared_ptr<const ops::PackedMatrix> rows(int64_t first, int64_t count) const override {
    auto some = std::make_shared<Eighths>(count, shape_[1]);
    const auto from = values_.begin() + first * shape_[1];
    some->values_.assign(from, from + count * shape_[1]);
    return some;
  }

 private:
  Tensor on(const Tensor& like) const { return dense(like.dtype()).to(like.device()); }

  Shape shape_;
  std::vector<int8_t> values_;
};

// Five tokens for three experts, of which the second has none.
ops::ExpertPlan plan() {
  const std::vector<int32_t> experts = {0, 2, 2, 0, 2};
  return ops::plan_experts(Tensor::of<int32_t>(experts, {5, 1}), 3);
}

std::vector<Case> cases() {
  static const Eighths w(4, 5), experts(3 * 4, 5);
  return {{"plain",
           {{{6, 5}}},
           [](const Vars& v) -> Vars { return {ops::packed_linear(v[0], w, Var())}; }},
          {"bias",
           {{{2, 3, 5}}, {{4}, Kind::kGain}},
           [](const Vars& v) -> Vars { return {ops::packed_linear(v[0], w, v[1])}; }},
          {"experts",
           {{{5, 5}}, {{3 * 4}, Kind::kGain}},
           [](const Vars& v) -> Vars {
             return {ops::grouped_packed_linear(v[0], experts, v[1], plan())};
           }},
          {"one_row", {{{5}}, {{4}, Kind::kGain}}, [](const Vars& v) -> Vars {
             return {ops::packed_linear(v[0], w, v[1])};
           }}};
}

class PackedLinear : public ::testing::TestWithParam<Case> {};
TEST_P(PackedLinear, HasTheGradientOfItsValue) { check_gradients(GetParam()); }
TEST_P(PackedLinear, AddsItsGradients) { check_sums(GetParam()); }
TEST_P(PackedLinear, AgreesOnTheCpu) { check_agreement(GetParam()); }
INSTANTIATE_TEST_SUITE_P(, PackedLinear, ::testing::ValuesIn(cases()), case_name);

struct Product {
  Tensor y, dx, db;
};

// linear(tape, x, bias) -> y; the product and its gradients, the bias's in a buffer.
template <class F>
Product product_of(const Tensor& x, const Tensor& bias, F&& linear) {
  Tape tape;
  GradBuffer buffer{Tensor(bias.shape(), wide(x.dtype()), x.device())};
  const Var in = tape.leaf(x), b = tape.leaf(bias, &buffer), y = linear(in, b);
  backward_of(tape, y);
  return {y.value, tape.grad(in), buffer.tensor};
}

TEST(PackedMatrix, IsTheLinearOfItsElements) {
  const Eighths w(4, 5);
  EXPECT_EQ(w.dense(DType::kF32).shape(), w.shape());
  for (const Place& place :
       {kSpecification, Place{DType::kF32, Device::kCpu}, Place{DType::kBF16, Device::kCpu}}) {
    const Tensor x = tensor_of(random_values(35, Rng(1)), {7, 5}, place.dtype, place.device),
                 bias = tensor_of(random_values(4, Rng(2)), {4}, wide(place.dtype), place.device),
                 dense = w.dense(place.dtype).to(place.device);
    const Product got = product_of(
        x, bias, [&](const Var& in, const Var& b) { return ops::packed_linear(in, w, b); });
    const Product want = product_of(
        x, bias, [&](const Var& in, const Var& b) { return ops::linear(in, Var(dense), b); });
    EXPECT_EQ(got.y.to_vector(), want.y.to_vector());
    EXPECT_EQ(got.dx.to_vector(), want.dx.to_vector());
    EXPECT_EQ(got.db.to_vector(), want.db.to_vector());
  }
}

TEST(PackedMatrix, IsTheGroupedLinearOfItsElements) {
  const Eighths w(3 * 4, 5);
  const Tensor x = tensor_of(random_values(25, Rng(1)), {5, 5}, DType::kF32, Device::kCpu),
               bias = tensor_of(random_values(12, Rng(2)), {12}, DType::kF32, Device::kCpu);
  const Product got = product_of(x, bias, [&](const Var& in, const Var& b) {
    return ops::grouped_packed_linear(in, w, b, plan());
  });
  const Product want = product_of(x, bias, [&](const Var& in, const Var& b) {
    return ops::grouped_linear(in, Var(w.dense(DType::kF32)), b, plan());
  });
  EXPECT_EQ(got.y.to_vector(), want.y.to_vector());
  EXPECT_EQ(got.dx.to_vector(), want.dx.to_vector());
  EXPECT_EQ(got.db.to_vector(), want.db.to_vector());
}

TEST(PackedMatrix, RefusesWhatDoesNotFit) {
  const Eighths w(4, 5);
  const auto f32 = [](const Shape& s) { return Var(Tensor::zeros(s, DType::kF32)); };
  EXPECT_EQ(error_text([&] {
              ops::packed_linear(f32({2, 4}), w, Var());
            }),
            "[linear] x [2, 4] does not fit a weight [4, 5]");
  EXPECT_EQ(error_text([&] {
              ops::packed_linear(f32({2, 5}), w, f32({5}));
            }),
            "[linear] bias has shape [5], expected [4]");
  EXPECT_EQ(error_text([&] {
              ops::grouped_packed_linear(f32({5, 5}), w, Var(), plan());
            }),
            "[grouped_packed_linear] x [5, 5] does not fit a weight [4, 5] of 3 experts");
}

}  // namespace
}  // namespace lathe::testing
