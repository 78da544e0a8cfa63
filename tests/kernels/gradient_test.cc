// Every backward of the reference table against four-point central differences of its forward, in
// f64.
#include <numeric>

#include "kernels/differences.h"
#include "lathe/kernels/activation/activations.h"

namespace lathe::kernels::testing {
namespace {

class ActivationGradient : public ::testing::TestWithParam<int> {};
TEST_P(ActivationGradient, EqualsDifferences) {
  const ActivationId f{static_cast<uint8_t>(GetParam())};
  const Tensor x = random({3, 10}, "x"), y({3, 10}, DType::kF64), dx = zeros({3, 10});
  for (double& value : x.span<double>())  // away from 0, where a slope may jump
    value += value < 0 ? -0.01 : 0.01;
  const Tensor dy = random({3, 10}, "dy");
  kernels().activation_backward(f, x, dy, dx);
  check_gradient("activation", x, dx, [&] {
    kernels().activation(f, x, y);
    return dot(y, dy);
  });
  const Tensor gated({3, 5}, DType::kF64), dgated = random({3, 5}, "dgated");
  kernels().gated_backward(f, x, dgated, dx);
  check_gradient("gated", x, dx, [&] {
    kernels().gated(f, x, gated);
    return dot(gated, dgated);
  });
}
INSTANTIATE_TEST_SUITE_P(, ActivationGradient, ::testing::Range(0, Activations::kCount),
                         [](const auto& instance) { return activation_names()[instance.param]; });

TEST(NormGradient, EqualsDifferences) {
  const Shape shape{3, 7};
  const Tensor x = random(shape, "x"), w = random({7}, "w"), b = random({7}, "b"), y = zeros(shape);
  const Tensor mean = zeros({3}), rstd = zeros({3}), dy = random(shape, "dy");
  const Tensor dx = zeros(shape), dw = zeros({7}), db = zeros({7});
  const Kernels::LayerGradients out{dx, Write::kOverwrite, dw,
                                    db, Write::kOverwrite, Write::kOverwrite};
  const auto check_all = [&](const std::function<double()>& loss) {
    check_gradient("x", x, dx, loss);
    check_gradient("w", w, dw, loss);
    check_gradient("b", b, db, loss);
  };
  const auto rms = [&] {
    kernels().rms_norm(x, w, b, y, rstd, 1e-3);
    return dot(y, dy);
  };
  rms();
  kernels().rms_norm_backward(x, w, rstd, dy, out);
  check_all(rms);
  const auto layer = [&] {
    kernels().layer_norm(x, w, b, y, mean, rstd, 1e-3);
    return dot(y, dy);
  };
  layer();
  kernels().layer_norm_backward(x, w, mean, rstd, dy, out);
  check_all(layer);
  const auto crms = [&] {
    kernels().crms_norm(x, w, b, y, mean, rstd, 1e-3);
    return dot(y, dy);
  };
  crms();
  kernels().crms_norm_backward(x, w, mean, rstd, dy, out);
  check_all(crms);
}

// What CRMS norm is for: the last of C + 1 channels that sum to 0 need not be stored.
TEST(CompressedNorm, IsLayerNormOfTheCompletedVector) {
  const Tensor whole = random({3, 8}, "whole"), y_whole = zeros({3, 8}), y = zeros({3, 7});
  for (int64_t n = 0; n < 3; ++n) {
    double* row = whole.data<double>() + 8 * n;
    row[7] = -std::accumulate(row, row + 7, 0.0);
  }
  const Tensor mean = zeros({3}), rstd = zeros({3}), sum = zeros({3}), rstd_stored = zeros({3});
  const TensorView none;
  for (const double eps : {0.0, 1e-2}) {
    kernels().layer_norm(whole, none, none, y_whole, mean, rstd, eps);
    kernels().crms_norm(whole.narrow(1, 0, 7), none, none, y, sum, rstd_stored, eps);
    const auto want = y_whole.narrow(1, 0, 7).clone().to_vector(), got = y.to_vector();
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-14);
    for (int64_t n = 0; n < 3; ++n)
      EXPECT_NEAR(sum.data<double>()[n], -whole.data<double>()[8 * n + 7], 1e-14);
  }
}

TEST(EmbeddingGradient, EqualsDifferences) {
  const Tensor table = random({4, 3}, "table"), out = zeros({5, 3}), dout = random({5, 3}, "dout");
  const Tensor ids = Tensor::of<int32_t>(std::vector<int32_t>{2, 0, 2, 2, 3}, {5});
  const Tensor dtable = zeros({4, 3});
  kernels().embedding_backward(ids, dout, dtable);
  check_gradient("table", table, dtable, [&] {
    kernels().embedding(table, ids, out);
    return dot(out, dout);
  });
}

TEST(RopeGradient, IsTheInverseRotation) {
  const Shape shape{3, 2, 6};
  const Tensor x = random(shape, "x"), out = zeros(shape), dout = random(shape, "dout");
  const Tensor cos = zeros({5, 2}), sin = zeros({5, 2}), dx = zeros(shape);
  for (int64_t i = 0; i < 10; ++i) {
    cos.data<double>()[i] = std::cos(0.7 * static_cast<double>(i));
    sin.data<double>()[i] = std::sin(0.7 * static_cast<double>(i));
  }
  const Tensor positions = Tensor::of<int32_t>(std::vector<int32_t>{4, 0, 1}, {3});
  for (RopeLayout layout : {RopeLayout::kHalfSplit, RopeLayout::kInterleaved}) {
    kernels().rope(dout, cos, sin, positions, dx, {layout, true});
    check_gradient("x", x, dx, [&] {
      kernels().rope(x, cos, sin, positions, out, {layout, false});
      return dot(out, dout);
    });
  }
}

TEST(DropoutGradient, EqualsDifferences) {
  const Tensor x = random({20}, "x"), out = zeros({20}), dout = random({20}, "dout"),
               dx = zeros({20});
  kernels().dropout(dout, dx, 0.4, 99);
  check_gradient("x", x, dx, [&] {
    kernels().dropout(x, out, 0.4, 99);
    return dot(out, dout);
  });
}

TEST(CrossEntropyGradient, EqualsDifferences) {
  const Tensor logits = random({4, 6}, "logits"), losses = zeros({4}), dlogits = zeros({4, 6});
  const Tensor labels = Tensor::of<int32_t>(std::vector<int32_t>{5, -1, 0, 0}, {4});
  kernels().cross_entropy(logits, labels, losses, dlogits, 0.5);
  check_gradient("logits", logits, dlogits, [&] {
    kernels().cross_entropy(logits, labels, losses, TensorView{}, 0.5);
    const auto all = losses.span<double>();
    return 0.5 * std::accumulate(all.begin(), all.end(), 0.0);
  });
}

TEST(SoftmaxGradient, EqualsDifferences) {
  const Shape shape{3, 5};
  const Tensor x = random(shape, "x"), y = zeros(shape), lse = zeros({3}), dx = zeros(shape);
  const Tensor dy = random(shape, "dy");
  kernels().softmax(x, y, lse);
  kernels().softmax_backward(y, dy, dx);
  check_gradient("softmax", x, dx, [&] {
    kernels().softmax(x, y, lse);
    return dot(y, dy);
  });
}

}  // namespace
}  // namespace lathe::kernels::testing
