#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "lathe/base/error.h"
#include "lathe/optim/clip.h"
#include "lathe/optim/ema.h"
#include "optim/optim_testing.h"

namespace lathe {
namespace {

using namespace lathe::testing;
using Numbers = std::vector<double>;

TEST(GradNorm, OverAllWrittenGradients) {
  for (const Place& place : kPlaces) {
    Parameters all;
    set_gradient(all.add(parameter("a", {1, 2}, place, {0, 0})).gradient, {3, 0});
    set_gradient(all.add(parameter("b", {2}, place, {0, 0})).gradient, {0, -4});
    Owned& old = all.add(parameter("c", {1}, place, {0}));
    set_gradient(old.gradient, {100});
    old.gradient.written = false;
    all.add(parameter("d", {1}, place, {0})).gradient = {};
    EXPECT_NEAR(global_grad_norm(all.list), 5.0, 1e-6);
    EXPECT_NEAR(global_grad_norm(all.list, 0.25), 1.25, 1e-6);
    EXPECT_EQ(global_grad_norm({}), 0.0);
  }
}

TEST(GradNorm, BrokenGradientsAreReported) {
  Parameters all;
  Owned& p = all.add(parameter("a", {3}, kCpu, {0, 0, 0}));
  set_gradient(p.gradient, {1, std::nan(""), 2});
  EXPECT_TRUE(std::isnan(global_grad_norm(all.list)));
  set_gradient(p.gradient, {1, std::numeric_limits<double>::infinity(), 2});
  EXPECT_FALSE(std::isfinite(global_grad_norm(all.list)));
  EXPECT_THROW(clip_factor(std::nan(""), 1), Error);
  EXPECT_THROW(clip_factor(INFINITY, 1), Error);
}

TEST(ClipFactor, OnlyEverShrinks) {
  EXPECT_EQ(clip_factor(0.5, 1.0), 1.0);
  EXPECT_EQ(clip_factor(0.0, 1.0), 1.0);
  EXPECT_NEAR(clip_factor(4.0, 1.0), 0.25, 1e-7);
  EXPECT_EQ(clip_factor(4.0, 0.0), 1.0) << "0 does not clip";
}

TEST(Ema, HandComputed) {
  for (const Place& place : kPlaces) {
    Parameters all;
    Owned& p = all.add(parameter("w", {1}, place, {1}));
    Ema ema(0.9, all.list);
    // Decay 2/11, 3/12, 4/13.
    const double expected[] = {1.8181818181818181, 2.7045454545454546, 3.6013986013986012};
    for (int64_t t = 1; t <= 3; ++t) {
      set(p.master, {1.0 + static_cast<double>(t)});
      ema.update(all.list, t);
      EXPECT_NEAR(ema.average(p).item(), expected[t - 1], 1e-6);
    }
    EXPECT_EQ(ema.bytes(), static_cast<int64_t>(size_of(place.dtype)));
  }
}

TEST(Ema, DecayIsReached) {
  Parameters all;
  Owned& p = all.add(parameter("w", {1}, kRef, {0}));
  Ema ema(0.5, all.list);
  set(p.master, {1});
  ema.update(all.list, 1000);
  EXPECT_NEAR(ema.average(p).item(), 0.5, 1e-12);
}

TEST(Ema, SwapsInAndBackToTheSameBits) {
  Parameters all = mixture(kCpu);
  for (const auto& p : all.owned) p->value = p->master.to(DType::kBF16);
  Ema ema(0.9, all.list);
  const Parameters start = mixture(kCpu);
  for (const TrainedParameter& p : all.list)
    set(p.master, Numbers(static_cast<size_t>(p.master.numel()), 7.0));
  const Tensor value = all.list[0].master;
  {
    const EmaScope scope(ema, all.list);
    for (size_t i = 0; i < all.list.size(); ++i) {
      const Tensor& w = all.list[i].master;
      EXPECT_EQ(w.to_vector(), start.list[i].master.to_vector());
      EXPECT_EQ(all.list[i].compute().to_vector(), w.to(DType::kBF16).to_vector());
    }
    EXPECT_TRUE(all.list[0].master.shares_storage(value)) << "in place";
    EXPECT_THROW(ema.update(all.list, 1), Error);
    EXPECT_THROW(ema.average(*all.owned[0]), Error);
  }
  EXPECT_FALSE(ema.swapped());
  for (const TrainedParameter& p : all.list) {
    EXPECT_EQ(p.master.to_vector(), Numbers(static_cast<size_t>(p.master.numel()), 7.0));
    EXPECT_EQ(p.compute().to_vector(), p.master.to_vector());
  }
}

TEST(Ema, RefusesStrangers) {
  Parameters all = mixture(kCpu), other;
  other.add(parameter("stranger", {2}, kCpu, {1, 2}));
  Ema ema(0.9, all.list);
  EXPECT_THROW(ema.update(other.list, 1), Error);
  EXPECT_THROW(ema.swap(other.list), Error);
  EXPECT_FALSE(ema.swapped());
  EXPECT_THROW(Ema(1.0, all.list), Error);
  EXPECT_THROW(Ema(-0.1, all.list), Error);
  all.owned[0]->trainable = false;
  EXPECT_THROW(Ema(0.9, all.list), Error);
}

}  // namespace
}  // namespace lathe
