#include "lathe/tensor/int8_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lathe/base/rng.h"

namespace lathe::testing {
namespace {

struct Rounded {
  Tensor codes, scales;
  explicit Rounded(const Tensor& x)
      : codes(x.shape(), DType::kI8), scales({x.size(0), x.size(1)}, DType::kF32) {
    quantize_rows(x, codes, scales);
  }
  double value(int64_t row, int64_t i) const {
    return double{scales.data<float>()[row]} * codes.data<int8_t>()[row * codes.size(2) + i];
  }
};

Tensor one_row(std::vector<float> values) {
  const auto n = static_cast<int64_t>(values.size());
  return Tensor::of<float>(values, {1, 1, n});
}

TEST(Int8Rows, AreOffByAtMostHalfAStep) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kF64})
    for (const int64_t width : {1, 2, 7, 64, 129}) {
      Tensor wide({5, 3, width}, DType::kF32);
      for (int64_t i = 0; i < wide.numel(); ++i)
        wide.data<float>()[i] =
            static_cast<float>(std::pow(10.0, static_cast<double>(i / width % 7) - 3) *
                               Rng(1).normal(static_cast<uint64_t>(i)));
      const Tensor x = wide.to(dtype);
      const Rounded rounded(x);
      const std::vector<double> exact = x.to_vector();
      for (int64_t row = 0; row < 15; ++row) {
        const double scale = rounded.scales.data<float>()[row];
        double most = 0;
        for (int64_t i = 0; i < width; ++i) {
          const double want = exact[static_cast<size_t>(row * width + i)];
          ASSERT_LE(std::abs(rounded.value(row, i) - want), scale * 0.50001);
          most = std::max(most, std::abs(want));
        }
        EXPECT_NEAR(scale, most / 127, 1e-6 * most);
      }
    }
}

TEST(Int8Rows, WholeNumbersUpTo127AreExact) {
  std::vector<float> values;
  for (int i = -127; i <= 127; ++i) values.push_back(static_cast<float>(i));
  const Rounded rounded(one_row(values));
  for (int64_t i = 0; i < 255; ++i) EXPECT_EQ(rounded.value(0, i), values[static_cast<size_t>(i)]);
}

TEST(Int8Rows, WhatIsNoNumberMakesTheRowNoNumber) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::nanf(""), -std::nanf(""), infinity, -infinity}) {
    const Rounded rounded(one_row({1, bad, 3}));
    for (int64_t i = 0; i < 3; ++i) EXPECT_TRUE(std::isnan(rounded.value(0, i))) << bad;
  }
}

TEST(Int8Rows, ZerosAndTheSmallestNumbersAreZeros) {
  for (const float small : {0.0f, -0.0f, 1e-45f, 1e-37f}) {
    const Rounded rounded(one_row({small, -small}));
    EXPECT_EQ(rounded.value(0, 0), 0) << small;
    EXPECT_EQ(rounded.value(0, 1), 0) << small;
  }
  const Rounded above(one_row({2e-36f, -1e-36f}));
  EXPECT_NEAR(above.value(0, 0), 2e-36, 1e-42);
  const float most = std::numeric_limits<float>::max();
  EXPECT_NEAR(Rounded(one_row({most, 0})).value(0, 0) / double{most}, 1, 1e-6);
}

// The rows of a fused projection lie apart, and a cache's rows are parts of its blocks.
TEST(Int8Rows, MayBeStrided) {
  Tensor all({4, 6, 8}, DType::kF32);
  for (int64_t i = 0; i < all.numel(); ++i)
    all.data<float>()[i] = static_cast<float>(Rng(2).normal(static_cast<uint64_t>(i)));
  const Tensor part = all.narrow(1, 2, 3);
  const Rounded want(part.clone());
  const Tensor codes = Tensor::zeros({10, 3, 8}, DType::kI8),
               scales = Tensor::zeros({10, 3}, DType::kF32);
  quantize_rows(part, codes.narrow(0, 5, 4), scales.narrow(0, 5, 4));
  EXPECT_EQ(scales.narrow(0, 5, 4).to_vector(), want.scales.to_vector());
  for (int64_t i = 0; i < 4 * 3 * 8; ++i)
    EXPECT_EQ(codes.data<int8_t>()[5 * 3 * 8 + i], want.codes.data<int8_t>()[i]);
  for (const int64_t row : {0, 4, 9})
    for (int64_t i = 0; i < 24; ++i) EXPECT_EQ(codes.data<int8_t>()[row * 24 + i], 0);
}

}  // namespace
}  // namespace lathe::testing
