#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lathe/config/read_write.h"
#include "optim/optim_testing.h"

namespace lathe {
namespace {

using namespace lathe::testing;

TEST(Sgd, FollowsTheFormula) {
  for (const Place& place : kPlaces)
    for (const bool nesterov : {false, true}) {
      OptimConfig c;
      read_config(c,
                  nlohmann::ordered_json{{"name", "sgd"},
                                         {"weight_decay", 0.5},
                                         {"sgd", {{"momentum", 0.8}, {"nesterov", nesterov}}}},
                  "optim");
      Parameters all;
      Parameter& w = all.add(parameter("w", {1, 1}, place, {1.0}));
      const auto sgd = make_optimizer(c, all.list);
      double expected = 1, m = 0;
      const double gradients[] = {0.5, -1.0, 0.25};
      for (int64_t t = 1; t <= 3; ++t) {
        const double g = gradients[t - 1];
        set_gradient(w, {g});
        sgd->step(all.list, {.step = t, .lr = 0.1});
        m = 0.8 * m + g;
        expected = expected - 0.1 * 0.5 * expected - 0.1 * (nesterov ? g + 0.8 * m : m);
        EXPECT_NEAR(w.value.item(), expected, place.tolerance) << t;
      }
    }
}

}  // namespace
}  // namespace lathe
