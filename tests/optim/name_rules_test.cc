#include "lathe/optim/name_rules.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/optim/optimizers.h"

namespace lathe {
namespace {

OptimConfig config(std::vector<std::string> lr, std::vector<std::string> decay) {
  OptimConfig c;
  c.lr_by_name = std::move(lr);
  c.decay_by_name = std::move(decay);
  return c;
}

TEST(NameRules, TheLastThatFitsCounts) {
  Parameter matrix(Shape{2, 2}, {}), gain(Shape{2}, {});
  matrix.name = "layers.0.ffn.up.weight";
  gain.name = "layers.0.norm.weight";
  const NameRules rules(config({"layers.*:0.5", "*.up.weight:2"}, {"*norm*:0.25"}));
  EXPECT_EQ(rules.lr_ratio(matrix), 2);
  EXPECT_EQ(rules.lr_ratio(gain), 0.5);
  EXPECT_EQ(rules.decay(matrix), 0.1);
  EXPECT_EQ(rules.decay(gain), 0.25);
  const NameRules none(config({}, {}));
  EXPECT_EQ(none.lr_ratio(matrix), 1);
  EXPECT_EQ(none.decay(gain), 0);
  const std::vector<TrainedParameter> all = {{&matrix, {}, nullptr}, {&gain, {}, nullptr}};
  EXPECT_NO_THROW(rules.require_matches(all));
  const std::string text =
      error_text([&] { NameRules(config({"head*:2"}, {})).require_matches(all); });
  EXPECT_NE(text.find("[optim.lr_by_name] 'head*:2' matches no parameter"), std::string::npos)
      << text;
}

TEST(NameRules, WhatIsNoRuleIsRefused) {
  for (const char* bad : {"", "x", "x:", ":1", "x:-1", "x:nan", "x:inf", "x:1y"})
    EXPECT_NE(error_text([&] { NameRules(config({bad}, {})); }).find("PATTERN:NUMBER"),
              std::string::npos)
        << bad;
}

}  // namespace
}  // namespace lathe
