// A dry run calls no kernel and leaves nothing behind.

#include "lathe/kernels/dry_run.h"

#include <gtest/gtest.h>

#include "lathe/base/error.h"
#include "lathe/kernels/account.h"
#include "lathe/kernels/slots.h"

namespace lathe::kernels {
namespace {

TEST(DryRun, ReplacesEveryKernelAndGivesThemBack) {
  {
    const DryRun dry;
    const Kernels& idle = kernels_for(Device::kCpu);
    for_each_slot(
        [&](auto slot) { EXPECT_NE(idle.*slot.member, cpu_kernels().*slot.member) << slot.name; });
    const Tensor x = Tensor::zeros({2, 2}, DType::kF32);
    x.data<float>()[0] = 3;
    EXPECT_EQ(idle.sum_squares(x), 0);
    idle.scale(2, x, x);
    EXPECT_EQ(x.data<float>()[0], 3);
    EXPECT_FALSE(x.holds_values());
  }
  EXPECT_EQ(&kernels_for(Device::kCpu), &cpu_kernels());
  EXPECT_TRUE(Tensor({1}, DType::kF32).holds_values());
}

TEST(DryRun, IsRefusedWithinAnAccount) {
  Account account;
  const AccountScope scope(account);
  EXPECT_THROW(DryRun(), Error);
}

}  // namespace
}  // namespace lathe::kernels
