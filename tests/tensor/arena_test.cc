#include "lathe/tensor/arena.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

TEST(Arena, GivesSlicesOfOneBlock) {
  Arena arena(1000);
  const Tensor a = arena.bytes(100), b = arena.bytes(1), c = arena.bytes(700);
  EXPECT_TRUE(a.shares_storage(b));
  EXPECT_TRUE(a.shares_storage(c));
  EXPECT_EQ(b.raw() - a.raw(), 128);
  EXPECT_EQ(c.raw() - b.raw(), 64);
  for (const Tensor& t : {a, b, c}) EXPECT_EQ(reinterpret_cast<uintptr_t>(t.raw()) % 64, 0u);
  EXPECT_EQ(c.shape(), (Shape{700}));
}

TEST(Arena, BeginsABlockWhereOneIsFull) {
  Arena arena(1000);
  const Tensor a = arena.bytes(600), b = arena.bytes(600), large = arena.bytes(5000);
  EXPECT_FALSE(a.shares_storage(b));
  EXPECT_FALSE(b.shares_storage(large));
  large.fill_zero();
  EXPECT_EQ(large.numel(), 5000);
}

TEST(Arena, SlicesOutliveIt) {
  Tensor kept;
  {
    Arena arena(256);
    kept = arena.bytes(64);
  }
  kept.fill_zero();
  for (const uint8_t byte : kept.span<uint8_t>()) EXPECT_EQ(byte, 0);
}

}  // namespace
}  // namespace lathe
