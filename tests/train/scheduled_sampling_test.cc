#include "train/run.h"

namespace lathe::testing {
namespace {

class ScheduledSampling : public Run {};

// With none of its own words it is next-token prediction.
TEST_F(ScheduledSampling, AtARateOfZeroIsNextToken) {
  train(recipe());
  const auto plain = result();
  start_over();
  train(recipe(R"({"objective": {"name": "scheduled_sampling", "sample_rate": 0}})"));
  EXPECT_EQ(result().at("model"), plain.at("model"));
  EXPECT_EQ(metrics().front().at("own_words"), 0);
}

TEST_F(ScheduledSampling, SaysAShareOfItsInputs) {
  train(recipe(R"({"objective": {"name": "scheduled_sampling", "sample_rate": 0.5,
                                 "sample_ramp": 1}, "train": {"steps": 40}})"));
  double mean = 0;
  for (const Json& line : metrics())
    if (line.contains("own_words")) mean += line["own_words"].get<double>() / 40;
  EXPECT_GT(mean, 0.2);  // some of them are what the text has
  EXPECT_LT(mean, 0.5);
}

}  // namespace
}  // namespace lathe::testing
