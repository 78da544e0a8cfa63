#include "lathe/autograd/values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "io/temp_folder.h"

namespace lathe {
namespace {

using Numbers = std::vector<double>;

// d f / d x by central differences, beside that of the tape. f gives one number.
void check_gradient(const Numbers& at, const std::function<Values(const Values&)>& f) {
  ValueTape tape;
  const Values x = tape.leaf(at);
  tape.backward(f(x));
  const Numbers gradient = tape.gradient(x);
  for (size_t i = 0; i < at.size(); ++i) {
    constexpr double kStep = 1e-6;
    Numbers more = at, less = at;
    more[i] += kStep;
    less[i] -= kStep;
    const double slope = (f(more).item() - f(less).item()) / (2 * kStep);
    EXPECT_NEAR(gradient[i], slope, 1e-7 * (1 + std::abs(slope))) << "element " << i;
  }
}

const Numbers kAt = {0.3, -1.2, 2.5, 0.9};
const Numbers kOther = {1.1, 0.4, -0.7, 2.0};

TEST(Values, DerivativesAreThoseOfTheFormulas) {
  const Values other(kOther);
  const std::function<Values(const Values&)> formulas[] = {
      [&](const Values& x) { return sum(x + other) * 2.0; },
      [&](const Values& x) { return sum((3.0 - x) * other); },
      [&](const Values& x) { return sum(x * x * other); },
      [&](const Values& x) { return sum(other / x) + sum(x / other); },
      [&](const Values& x) { return sum(minimum(x, other) * other); },
      [&](const Values& x) { return sum(maximum(x, 0.5) * other); },
      [&](const Values& x) { return sum(clamp(x, -1.0, 1.0) * other); },
      [&](const Values& x) { return sum(exp(x) + log(square(x)) + expm1(0.1 * x)); },
      [&](const Values& x) { return sum(sigmoid(x) * other + log_sigmoid(-x)); },
      [&](const Values& x) { return mean(relu(x) * other); },
      [&](const Values& x) { return sum(x) * mean(x * other); },
      [&](const Values& x) {
        return sum(take(x, {3, 1, 1}) * Values(Numbers{1, 2, 3}));
      },
      [&](const Values& x) {
        return sum(square(sums(x, Runs(std::vector<int64_t>{1, 0, 3}))));
      },
      [&](const Values& x) {
        return sum(square(spread(take(x, {0, 2}), Runs(std::vector<int64_t>{3, 2})) *
                          Values(Numbers{1, 2, 3, 4, 5})));
      },
      [&](const Values& x) { return sum(x.detached() * 0.0) + sum(x * x); },
  };
  for (const auto& formula : formulas) check_gradient(kAt, formula);
}

TEST(Values, AreWhatTheyAreCalled) {
  const Values x(kAt);
  EXPECT_EQ((x + 1.0)[1], kAt[1] + 1);
  EXPECT_EQ((-x)[0], -kAt[0]);
  EXPECT_EQ(sum(x).item(), kAt[0] + kAt[1] + kAt[2] + kAt[3]);
  EXPECT_EQ(mean(Values()).item(), 0);
  EXPECT_EQ(sums(x, Runs(std::vector<int64_t>{1, 0, 3})).numbers(),
            (Numbers{kAt[0], 0, kAt[1] + kAt[2] + kAt[3]}));
  EXPECT_EQ(take(x, {2}).item(), kAt[2]);
  EXPECT_NEAR(log_sigmoid(-800.0).item(), -800, 1e-9);
  EXPECT_NEAR(log_sigmoid(800.0).item(), 0, 1e-9);
  EXPECT_NEAR(sigmoid(-800.0).item(), 0, 1e-9);
}

TEST(Values, ShareTheGradientOfEqualOperands) {
  ValueTape tape;
  const Values x = tape.leaf({2.0}), y = tape.leaf({2.0});
  tape.backward(minimum(x, y) + maximum(x, 2.0));
  EXPECT_EQ(tape.gradient(x)[0], 1.0);  // half of each
  EXPECT_EQ(tape.gradient(y)[0], 0.5);
}

TEST(Values, DetachedOnesAndConstantsHaveNoGradient) {
  ValueTape tape;
  const Values x = tape.leaf({2.0, 3.0});
  tape.backward(sum(exp(x).detached() * x));
  EXPECT_EQ(tape.gradient(x), (Numbers{std::exp(2.0), std::exp(3.0)}));
  ValueTape unused;
  const Values y = unused.leaf({1.0});
  unused.backward(Values(3.0));
  EXPECT_EQ(unused.gradient(y), (Numbers{0}));
}

TEST(Values, RefuseSizesThatDoNotFit) {
  const Values two(Numbers{1, 2}), three(Numbers{1, 2, 3});
  EXPECT_EQ(error_text([&] { two + three; }), "[values] 2 and 3 numbers do not combine");
  EXPECT_EQ(error_text([&] { two.item(); }), "[values] one number was asked of 2");
  EXPECT_EQ(error_text([&] { take(two, {2}); }), "[values] number 2 was taken of 2");
  EXPECT_EQ(error_text([&] { sums(two, Runs(std::vector<int64_t>{3})); }),
            "[values] 2 numbers where the runs have 3");
}

}  // namespace
}  // namespace lathe
