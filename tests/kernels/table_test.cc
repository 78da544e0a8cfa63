#include "kernels/harness.h"
#include "lathe/kernels/slots.h"

namespace lathe::kernels::testing {
namespace {

TEST(Levels, BaselineIsFirstAndEveryLevelCanBeSelected) {
  const MachineState restore;
  const std::vector<std::string> levels = cpu_levels();
  ASSERT_FALSE(levels.empty());
  EXPECT_EQ(levels.front(), "baseline");
  for (const std::string& level : levels) {
    select_cpu_level(level);
    EXPECT_EQ(cpu_kernels().level, level);
    EXPECT_STREQ(cpu_kernels().name, "cpu");
  }
}

TEST(Levels, UnknownLevelIsAnErrorThatListsTheKnownOnes) {
  try {
    select_cpu_level("avx9000");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kDevice);
    EXPECT_NE(std::string(e.what()).find("baseline"), std::string::npos) << e.what();
  }
}

TEST(Levels, SelectedLevelStaysAfterARefusedOne) {
  const MachineState restore;
  select_cpu_level("baseline");
  EXPECT_THROW(select_cpu_level("none"), Error);
  EXPECT_EQ(cpu_kernels().level, "baseline");
}

TEST(Devices, HaveTheirTables) {
  EXPECT_STREQ(kernels_for(Device::kRef).name, "ref");
  EXPECT_STREQ(kernels_for(Device::kCpu).name, "cpu");
}

// Stands for an entry and only notes that it was called.
template <auto Member>
struct Note;
template <class Result, class... Args, Result (*Kernels::*Member)(Args...)>
struct Note<Member> {
  static inline bool called = false;
  static Result call(Args...) {
    called = true;
    return Result();
  }
};

TEST(Slots, EveryKernelIsHeldToItsReference) {
  Kernels notes{};
  for_each_slot([&](auto slot) { notes.*slot.member = Note<slot.member>::call; });
  for (const Cases& cases : suites())
    for (const Case& c : cases()) c.call(notes, std::vector<TensorView>(c.operands.size()));
  notes.sum_squares(TensorView{});  // gives a number: elementwise_test.cc compares it
  for_each_slot([](auto slot) {
    EXPECT_TRUE(Note<slot.member>::called)
        << slot.name << " is called by no Case of a LATHE_KERNEL_SUITE (kernels/harness.h)";
  });
}

// What the fast loops do not take, the cpu table computes by the reference kernels.
TEST(Guard, OtherDTypesAndLayoutsGoToTheReference) {
  const MachineState restore;
  for (const std::string& level : cpu_levels()) {
    select_cpu_level(level);
    for (DType dtype : {DType::kF16, DType::kF64, DType::kF32}) {
      Tensor a({4, 6}, dtype), b({4, 6}, dtype);
      for (int64_t i = 0; i < 24; ++i) {
        ref::store(a, i, 0.25 * static_cast<double>(i));
        ref::store(b, i, 1.0 - 0.5 * static_cast<double>(i));
      }
      const Tensor ta = a.transpose(0, 1), tb = b.transpose(0, 1);
      const Tensor got({6, 4}, dtype), want({6, 4}, dtype);
      cpu_kernels().add(ta, tb, got);
      ref_kernels().add(ta, tb, want);
      EXPECT_EQ(got.to_vector(), want.to_vector()) << level << " " << name_of(dtype);
      cpu_kernels().activation(find_activation("silu"), ta, got);
      ref_kernels().activation(find_activation("silu"), ta, want);
      const std::vector<double> g = got.to_vector(), w = want.to_vector();
      for (size_t i = 0; i < g.size(); ++i) EXPECT_NEAR(g[i], w[i], 1e-6);
    }
  }
}

}  // namespace
}  // namespace lathe::kernels::testing
