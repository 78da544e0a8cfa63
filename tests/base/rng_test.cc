#include "lathe/base/rng.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

// Exact resumption rests on these numbers: a run of any release draws the same. The first is the
// known answer that the authors of Philox publish (Random123, kat_vectors); the others were
// computed apart from this code, from the formulas in rng.h.
TEST(Rng, KnownAnswers) {
  using Block = std::array<uint32_t, 4>;
  EXPECT_EQ(Rng::from_key(0).block(0), (Block{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
  const Rng dropout = Rng(1).fork("dropout"), seventh = dropout.fork(7);
  EXPECT_EQ(Rng(1).key(), 0xE4D971771B652C20u);
  EXPECT_EQ(dropout.key(), 0x89863F65951762FDu);
  EXPECT_EQ(seventh.key(), 0x25495B37661BD1D7u);
  EXPECT_EQ(seventh.block((uint64_t{1} << 33) + 5),
            (Block{0x5CDB8966, 0x29CD8255, 0x0F1D53D3, 0x2BD0444F}));
  EXPECT_EQ(dropout.bits64(1), 3085960571177344434u);
  EXPECT_EQ(dropout.uniform(3), 2806664.0f / 16777216.0f);
  EXPECT_EQ(dropout.below(1, 1000), 167u);
}

TEST(Rng, SameNameSameNumbers) {
  EXPECT_EQ(Rng(7).fork("dropout").fork(3).bits64(11), Rng(7).fork("dropout").fork(3).bits64(11));
  EXPECT_NE(Rng(7).fork("dropout").fork(3).bits64(11), Rng(7).fork("dropout").fork(4).bits64(11));
  EXPECT_NE(Rng(7).fork("dropout").bits64(0), Rng(7).fork("shuffle").bits64(0));
  EXPECT_NE(Rng(7).bits64(0), Rng(8).bits64(0));
}

TEST(Rng, NormalHasZeroMeanAndUnitVariance) {
  const Rng rng = Rng(1).fork("normal");
  double sum = 0, squares = 0;
  constexpr int kCount = 200000;
  for (int i = 0; i < kCount; ++i) {
    const double x = rng.normal(i);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kCount, 0.0, 0.01);
  EXPECT_NEAR(squares / kCount, 1.0, 0.02);
}

TEST(Rng, BelowIsInRangeAndEven) {
  const Rng rng = Rng(2).fork("below");
  int counts[7] = {};
  for (int i = 0; i < 70000; ++i) ++counts[rng.below(i, 7)];
  for (int c : counts) EXPECT_NEAR(c, 10000, 400);
}

}  // namespace
}  // namespace lathe
