#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "cli/demo_testing.h"

namespace lathe {
namespace {

TEST(BenchKernels, TimesEveryKernelAgainstALimit) {
  const auto r = run_lathe({"bench", "kernels", "--rows", "8", "--width", "256", "--ffn", "64",
                            "--vocabulary", "32", "--runs", "1", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto json = nlohmann::json::parse(r.out);
  std::set<std::string> names;
  for (const auto& kernel : json["kernels"]) {
    names.insert(kernel["name"]);
    EXPECT_GT(kernel["share"].get<double>(), 0) << kernel["name"];
  }
  for (const char* name : {"gate_up Q8_0 one row", "gate_up Q4_K", "depthwise_conv", "adamw"})
    EXPECT_TRUE(names.contains(name)) << name;
  EXPECT_GT(json["int8_gops"].get<double>(), 0);
}

}  // namespace
}  // namespace lathe
