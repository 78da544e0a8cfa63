#include "lathe/kernels/account.h"

#include "kernels/attention_options.h"
#include "lathe/kernels/slots.h"

namespace lathe::kernels::testing {
namespace {

const Kernels& table() { return kernels_for(Device::kCpu); }

Tensor counting(const Shape& shape, DType dtype) {
  const Tensor t(shape, DType::kF32);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = 0.25f * static_cast<float>(i % 7);
  return t.to(dtype);
}

TEST(Account, EveryEntryIsReplaced) {
  const Kernels& plain = cpu_kernels();
  Account account;
  const AccountScope scope(account);
  for_each_slot(
      [&](auto slot) { EXPECT_NE(table().*slot.member, plain.*slot.member) << slot.name; });
}

TEST(Account, ScopesNestAndRestore) {
  const Tensor x = counting({4, 8}, DType::kF32), y = counting({4, 8}, DType::kF32);
  Account outer, inner;
  const Kernels* kept = nullptr;
  {
    const AccountScope scope(outer);
    kept = &table();
    {
      const AccountScope nested(inner);
      table().scale(2.0, x, y);
    }
    table().add(x, y, y);
  }
  EXPECT_EQ(&table(), &cpu_kernels());
  kept->add(x, y, y);  // after the scope: the plain kernel, in no account
  ASSERT_EQ(inner.rows().size(), 1u);
  EXPECT_EQ(inner.rows()[0].kernel, "scale");
  ASSERT_EQ(outer.rows().size(), 1u);
  EXPECT_EQ(outer.rows()[0].kernel, "add");
  EXPECT_EQ(outer.rows()[0].calls, 1);
}

TEST(Account, RefIsLeftAlone) {
  Account account;
  const AccountScope scope(account);
  EXPECT_EQ(&kernels_for(Device::kRef), &ref_kernels());
}

// c[3,5] = a[3,4]·b[4,5]: 2·3·4·5 FLOPs.
TEST(Account, AMatmulByHand) {
  const Tensor a = counting({3, 4}, DType::kF32), at = counting({4, 3}, DType::kF32),
               b = counting({4, 5}, DType::kF32), bt = counting({5, 4}, DType::kF32);
  const Tensor c({3, 5}, DType::kF32);
  Account account;
  {
    const AccountScope scope(account);
    table().matmul(a, bt.transpose(0, 1), TensorView(), c, Write::kOverwrite);
    table().matmul(a, b, TensorView(), c, Write::kOverwrite);
    table().matmul(at.transpose(0, 1), b, TensorView(), c, Write::kOverwrite);
    table().matmul(at.transpose(0, 1), b, TensorView(), c, Write::kAccumulate);
  }
  const std::vector<AccountRow> rows = account.rows();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].shape, "3x4x5 f32 dw");
  EXPECT_EQ(rows[1].shape, "3x4x5 f32 dx");
  EXPECT_EQ(rows[2].shape, "3x4x5 f32 forward");
  EXPECT_EQ(rows[0].calls, 2);
  EXPECT_EQ(rows[0].work.flops, 2 * 120.0);
  EXPECT_EQ(rows[0].work.bytes, 4.0 * ((12 + 20 + 15) + (12 + 20 + 2 * 15))) << "c is read, too";
  EXPECT_EQ(rows[2].work.flops, 120.0);
  EXPECT_EQ(rows[2].work.bytes, 4.0 * (12 + 20 + 15));
}

// Where a machine lacks bf16 products the kernel casts its operands itself: no row of their own.
TEST(Account, WhatAKernelCallsBelongsToIt) {
  const MachineState restore;
  const Tensor a = counting({3, 4}, DType::kBF16), b = counting({4, 5}, DType::kBF16);
  for (const std::string& level : cpu_levels()) {
    select_cpu_level(level);
    const Tensor c({3, 5}, DType::kBF16);
    Account account;
    {
      const AccountScope scope(account);
      EXPECT_EQ(table().level, level);
      table().matmul(a, b, TensorView(), c, Write::kOverwrite);
    }
    ASSERT_EQ(account.rows().size(), 1u) << level;
    EXPECT_EQ(account.rows()[0].kernel, "matmul");
    EXPECT_EQ(account.rows()[0].work.bytes, 2.0 * (12 + 20 + 15));
  }
}

// Two sequences of 3 causal queries see 1 + 2 + 3 keys each, a third with one query sees 5 that a
// cache of 20 rows holds; 2 heads of width 4.
TEST(Account, AnAttentionByHand) {
  const AttentionLayout training(AttentionSizes::equal(2, 3, 3, 2, 1, 4, 4)),
      decoding({{{3, 3}, {3, 3}, {1, 5}}, 2, 1, 4, 4});
  const Tensor q = counting({7, 2, 4}, DType::kF32), k = counting({20, 1, 4}, DType::kF32),
               v = counting(k.shape(), DType::kF32), dout = counting({6, 2, 4}, DType::kF32);
  const Tensor out(q.shape(), DType::kF32), lse({2, 6}, DType::kF32), dq(dout.shape(), DType::kF32),
      dk({6, 1, 4}, DType::kF32), dv(dk.shape(), DType::kF32);
  const Tensor q6 = q.narrow(0, 0, 6), k6 = k.narrow(0, 0, 6), v6 = v.narrow(0, 0, 6),
               out6 = out.narrow(0, 0, 6);
  Account account;
  {
    const AccountScope scope(account);
    table().attention(q6, k6, v6, out6, lse, {.rows = training.view()});
    table().attention_backward(q6, k6, v6, out6, lse, dout, {.rows = training.view()},
                               {dq, dk, dv});
    table().attention(q, k, v, out, {}, {.rows = decoding.view()});
  }
  const std::vector<AccountRow> rows = account.rows();
  ASSERT_EQ(rows.size(), 3u);
  constexpr double kPairs = 2 * 6 * 2, kQ = 48, kK = 24, kLse = 12, kOffsets = 3 + 3 + 2;
  EXPECT_EQ(rows[0].shape, "2x3x3 2/1 heads x 4 f32");
  EXPECT_EQ(rows[0].work.flops, kPairs * 4 * 4);
  EXPECT_EQ(rows[0].work.bytes, 4 * (2 * kQ + 2 * kK + kLse + kOffsets));
  EXPECT_EQ(rows[1].shape, "3x3x5 2/1 heads x 4 f32") << "the longest";
  EXPECT_EQ(rows[1].work.flops, (kPairs + 5 * 2) * 4 * 4);
  EXPECT_EQ(rows[1].work.bytes, 4 * (2 * 7 * 8 + 2 * 11 * 4 + 4 + 4 + 3));
  EXPECT_EQ(rows[2].kernel, "attention_backward");
  EXPECT_EQ(rows[2].work.flops, kPairs * 10 * 4);
  EXPECT_EQ(rows[2].work.bytes, 4 * (4 * kQ + 4 * kK + kLse + kOffsets));
}

// Of a cache of 20 rows the 5 that are keys are read: 4 bytes each and a scale, twice.
TEST(Account, AnAttentionOnInt8Keys) {
  const AttentionLayout decoding({{{1, 5}}, 2, 1, 4, 4});
  const Tensor q = counting({1, 2, 4}, DType::kF32), out(q.shape(), DType::kF32),
               k = Tensor::zeros({20, 1, 4}, DType::kI8),
               scales = Tensor::zeros({20, 1}, DType::kF32);
  Account account;
  {
    const AccountScope scope(account);
    table().attention(q, k, k, out, {},
                      {.rows = decoding.view(), .key_scales = scales, .value_scales = scales});
  }
  EXPECT_EQ(account.rows().at(0).shape, "1x1x5 2/1 heads x 4 f32 on i8");
  EXPECT_EQ(account.rows().at(0).work.bytes, 4 * (2 * 8 + 2 + 2 + 1) + 2 * 5 * (4 + 4));
}

TEST(Account, TablesThatAreLookedUpAreReadInPart) {
  const Tensor big = counting({100, 8}, DType::kF32), out({3, 8}, DType::kF32);
  const std::vector<int32_t> three = {5, 0, 99};
  const Tensor ids = Tensor::of<int32_t>(three, {3});
  Account account;
  {
    const AccountScope scope(account);
    table().embedding(big, ids, out);
  }
  EXPECT_EQ(account.rows().at(0).work.bytes, 4.0 * (3 * 8 + 3 + 3 * 8));
}

TEST(Account, ResultsAreThoseOfThePlainTable) {
  const Tensor x = counting({5, 16}, DType::kBF16), w = counting({16}, DType::kF32);
  const Tensor want(x.shape(), DType::kBF16), got(x.shape(), DType::kBF16), rstd({5}, DType::kF32);
  const Kernels& plain = cpu_kernels();
  plain.rms_norm(x, w, TensorView(), want, rstd, 1e-5);
  const Tensor wide = x.to(DType::kF32);
  const double square = plain.sum_squares(wide);
  Account account;
  const AccountScope scope(account);
  table().rms_norm(x, w, TensorView(), got, rstd, 1e-5);
  EXPECT_EQ(got.to_vector(), want.to_vector());
  EXPECT_EQ(table().sum_squares(wide), square);
  EXPECT_EQ(account.rows().size(), 2u);
}

}  // namespace
}  // namespace lathe::kernels::testing
