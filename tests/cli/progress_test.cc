#include "lathe/cli/frame/progress.h"

#include <gtest/gtest.h>

#include <sstream>

#include "lathe/base/error.h"
#include "lathe/cli/frame/interrupt.h"

namespace lathe {
namespace {

TEST(Progress, BarAndLine) {
  const ProgressState state{.label = "encoding",
                            .done = 5 << 20,
                            .total = 10 << 20,
                            .unit = "B",
                            .seconds = 10,
                            .note = "file.txt"};
  EXPECT_EQ(progress_bar(state, 200),
            "encoding  50% ██████████           5.0 MiB/10.0 MiB  512.0 KiB/s  eta 10s  file.txt");
  EXPECT_EQ(progress_line(state), "encoding 50%  5.0 MiB/10.0 MiB  512.0 KiB/s  eta 10s  file.txt");
  EXPECT_EQ(progress_bar(state, 12), "encoding  5") << "never wider than the terminal";
}

TEST(Progress, UnknownTotalAndSlowRates) {
  EXPECT_EQ(progress_line({.label = "train", .done = 3, .total = 0, .unit = "steps", .seconds = 6}),
            "train  3 steps  0.50/s  6s");
  EXPECT_EQ(progress_line({.label = "train", .done = 0, .total = 4, .unit = "", .seconds = 0}),
            "train 0%  0/4");
}

TEST(Progress, OffPrintsNothingLinesPrintTheEnd) {
  std::ostringstream out;
  {
    Progress off({ProgressStyle::Kind::kOff, &out}, "x", 10, "");
    off.update(5);
    off.finish();
  }
  EXPECT_EQ(out.str(), "");
  {
    Progress lines({ProgressStyle::Kind::kLines, &out}, "x", 10, "");
    for (int i = 0; i < 10; ++i) lines.update(i);
    lines.finish("done");
  }
  EXPECT_TRUE(out.str().starts_with("x 100%  10/10")) << out.str();
  EXPECT_TRUE(out.str().ends_with("done\n")) << out.str();
}

TEST(Interrupt, IsARequest) {
  set_interrupt_requested(false);
  EXPECT_NO_THROW(throw_if_interrupted());
  set_interrupt_requested(true);
  EXPECT_TRUE(interrupt_requested());
  try {
    throw_if_interrupted();
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(exit_code(e.kind()), 130);
  }
  set_interrupt_requested(false);
}

}  // namespace
}  // namespace lathe
