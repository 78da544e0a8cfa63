// Everything here follows from the catalogue: a new activation is tested by being listed.
#include "kernels/harness.h"
#include "lathe/kernels/activation/activations.h"
#include "lathe/kernels/activation/math.h"

namespace lathe::kernels::testing {
namespace {

using Views = std::vector<TensorView>;

std::vector<ActivationId> all_activations() {
  std::vector<ActivationId> ids;
  for (const std::string& name : activation_names()) ids.push_back(find_activation(name));
  return ids;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  std::vector<Shape> shapes = row_shapes();
  shapes.push_back({1, 8200});
  for (ActivationId f : all_activations())
    for (const Shape& s : shapes) {
      const auto name = [&](const char* kernel) {
        return fmt::format("{}_{}_{}", kernel, f.name(), name_of_shape(s));
      };
      const auto wide = [](int64_t, double z) { return 3.0 * z; };
      const Spec x{.shape = s, .fill = wide}, out{s, Role::kOut}, dy{s};
      const Spec inout{.shape = s, .role = Role::kInOut, .fill = wide};
      const Shape both{s[0], 2 * s[1]};
      const Spec pair{.shape = both, .fill = wide}, dpair{both, Role::kOut};
      all.push_back({name("value"), {x, out}, [f](const Kernels& k, const Views& v) {
                       k.activation(f, v[0], v[1]);
                     }});
      all.push_back({name("backward"), {x, dy, out}, [f](const Kernels& k, const Views& v) {
                       k.activation_backward(f, v[0], v[1], v[2]);
                     }});
      all.push_back({name("gated"), {pair, out}, [f](const Kernels& k, const Views& v) {
                       k.gated(f, v[0], v[1]);
                     }});
      all.push_back(
          {name("gated_backward"), {pair, dy, dpair}, [f](const Kernels& k, const Views& v) {
             k.gated_backward(f, v[0], v[1], v[2]);
           }});
      const Spec pair_inout{.shape = both, .role = Role::kInOut, .fill = wide};
      all.push_back({name("backward_in_place"), {inout, dy}, [f](const Kernels& k, const Views& v) {
                       k.activation_backward(f, v[0], v[1], v[0]);
                     }});
      all.push_back(
          {name("gated_backward_in_place"),
           {pair_inout, dy},
           [f](const Kernels& k, const Views& v) { k.gated_backward(f, v[0], v[1], v[0]); }});
    }
  return all;
}
LATHE_KERNEL_SUITE(ActivationKernel, cases());

// f32 kernels against the double formula on a dense grid and at the ends of the range. Errors are
// relative to max(1, |exact|).
TEST(Activations, FloatIsWithinOneMillionthOfDouble) {
  const MachineState restore;
  std::vector<float> points = {0.0f,   -0.0f,  1e-30f,  -1e-30f, 50.0f,
                               -50.0f, 100.0f, -100.0f, 1e4f,    -1e4f};
  for (int i = -20000; i <= 20000; ++i) points.push_back(static_cast<float>(i) * 1e-3f);
  const auto n = static_cast<int64_t>(points.size());
  const Tensor x = Tensor::of<float>(points, {n});
  const Tensor ones = Tensor::of<float>(std::vector<float>(points.size(), 1.0f), {n});
  Tensor value({n}, DType::kF32), derivative({n}, DType::kF32);
  for (const std::string& level : cpu_levels()) {
    select_cpu_level(level);
    for (int id = 0; id < Activations::kCount; ++id) {
      const ActivationId f{static_cast<uint8_t>(id)};
      cpu_kernels().activation(f, x, value);
      cpu_kernels().activation_backward(f, x, ones, derivative);
      double worst = 0;
      Activations::visit(id, [&](auto a) {
        for (size_t i = 0; i < points.size(); ++i) {
          const double p = points[i], exact = decltype(a)::value(p),
                       slope = decltype(a)::derivative(p);
          const double e =
              std::abs(value.span<float>()[i] - exact) / std::max(1.0, std::abs(exact));
          const double d =
              std::abs(derivative.span<float>()[i] - slope) / std::max(1.0, std::abs(slope));
          worst = std::max({worst, std::isnan(e) ? HUGE_VAL : e, std::isnan(d) ? HUGE_VAL : d});
        }
      });
      EXPECT_LT(worst, 1e-6) << f.name() << " " << level;
    }
  }
}

TEST(Activations, DerivativeIsTheSlopeOfTheValue) {
  for (int id = 0; id < Activations::kCount; ++id)
    Activations::visit(id, [&](auto a) {
      using A = decltype(a);
      constexpr double kStep = 1e-3;
      for (int i = -200; i < 200; ++i) {
        const double x = (i + 0.5) * 0.04;  // never within two steps of 0, where slopes may jump
        const double slope = (A::value(x - 2 * kStep) - 8 * A::value(x - kStep) +
                              8 * A::value(x + kStep) - A::value(x + 2 * kStep)) /
                             (12 * kStep);
        ASSERT_NEAR(A::derivative(x), slope, 1e-9) << A::kName << " at " << x;
      }
    });
}

TEST(Activations, NaNStaysNaN) {
  const float nan = std::nanf("");
  EXPECT_TRUE(std::isnan(math::exp(nan)));
  EXPECT_TRUE(std::isnan(math::exp_nonpositive(nan)));
  EXPECT_TRUE(std::isnan(math::tanh(nan)));
  EXPECT_TRUE(std::isnan(math::erf(nan)));
}

TEST(Activations, NamesAreFoundAndUnknownOnesAreNot) {
  for (const std::string& name : activation_names()) EXPECT_EQ(find_activation(name).name(), name);
  try {
    find_activation("sliu");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("silu"), std::string::npos) << e.what();
  }
}

// What math.h claims.
TEST(Math, FloatFunctionsKeepTheirBounds) {
  double exp_error = 0, tanh_error = 0, erf_error = 0;
  for (int i = -86800; i <= 88600; ++i) {
    const float x = static_cast<float>(i) * 1e-3f;
    const double exact = std::exp(static_cast<double>(x));
    exp_error = std::max(exp_error, std::abs(math::exp(x) / exact - 1.0));
    if (x < 1) exp_error = std::max(exp_error, std::abs(math::exp_nonpositive(x) / exact - 1.0));
  }
  for (int i = 1; i <= 100000; ++i) {
    const float x = static_cast<float>(i) * 1e-4f;
    const double exact = std::tanh(static_cast<double>(x));
    tanh_error = std::max(tanh_error, std::abs(math::tanh(x) / exact - 1.0));
    EXPECT_EQ(math::tanh(-x), -math::tanh(x));
  }
  for (int i = -60000; i <= 60000; ++i) {
    const float x = static_cast<float>(i) * 1e-4f;
    erf_error = std::max(erf_error, std::abs(math::erf(x) - std::erf(static_cast<double>(x))));
  }
  EXPECT_LT(exp_error, 1.5e-7);
  EXPECT_LT(tanh_error, 3e-7);
  EXPECT_LT(erf_error, 4e-7);
  EXPECT_EQ(math::tanh(1e-30f), 1e-30f);
  EXPECT_EQ(math::tanh(100.0f), 1.0f);
  EXPECT_GT(math::exp(-1000.0f), std::numeric_limits<float>::min());
  EXPECT_LT(math::exp(-1000.0f), 1.9e-38f);
  EXPECT_TRUE(std::isnan(math::exp(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_GT(math::exp(1000.0f), 3e38f);
  EXPECT_EQ(math::exp_nonpositive(0.0f), 1.0f);
  for (const float x : {-87.4f, -1e4f, -3e38f, -std::numeric_limits<float>::infinity()})
    EXPECT_EQ(math::exp_nonpositive(x), 0.0f);
}

}  // namespace
}  // namespace lathe::kernels::testing
