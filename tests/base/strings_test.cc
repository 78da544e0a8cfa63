#include "lathe/base/strings.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

TEST(Strings, NearestFindsTyposOnly) {
  const std::vector<std::string> keys = {"hidden_size", "num_layers", "lr"};
  EXPECT_EQ(nearest("hiden_size", keys), "hidden_size");
  EXPECT_EQ(nearest("zzzzzzzz", keys), std::nullopt);
  EXPECT_EQ(did_you_mean("nun_layers", keys), " Did you mean 'num_layers'?");
}

TEST(Strings, HumanNumbers) {
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_count(25.8e6), "25.8M");
  EXPECT_EQ(human_time(75), "1m15s");
}

}  // namespace
}  // namespace lathe
