// bf16 in kernels that work on blocks of floats: every size around a register and a block, every
// bit pattern, and the numbers that rounding gets wrong first.
#include <bit>

#include "kernels/harness.h"

namespace lathe::kernels::testing {
namespace {

constexpr int64_t kSizes[] = {1,   3,   4,   7,   8,   15,  16,  17,  31,  127,
                              128, 129, 255, 256, 257, 511, 513, 767, 1025};

// Ties to even in both directions, a carry into the exponent and into infinity, subnormal numbers
// of both formats, infinities, and NaN whose payload rounding would carry away.
const std::vector<uint32_t> kHardBits = {
    0x00000000, 0x80000000, 0x3F808000, 0x3F818000, 0x3F807FFF, 0x3F808001, 0x3FFF8000, 0x3FFFFFFF,
    0x7F7F7FFF, 0x7F7F8000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000,
    0x7F800001, 0xFF800001, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FBFFFFF, 0x7F80FFFF, 0x00000001, 0x80000001,
    0x00007FFF, 0x00008000, 0x00008001, 0x00018000, 0x007F7FFF, 0x007F8000, 0x007FFFFF, 0x00800000,
    0x807FFFFF, 0x00010000, 0x12345678, 0xC2F6E979};

std::vector<float> hard_floats(int64_t n) {
  std::vector<float> values;
  for (int64_t i = 0; i < n; ++i)
    values.push_back(std::bit_cast<float>(kHardBits[static_cast<size_t>(i) % kHardBits.size()]));
  return values;
}

// A vector whose neighbours in memory are guarded, so that a vector register too many shows.
Operand guarded(int64_t n) { return Operand({.shape = {n}}, DType::kBF16, {}); }

template <class F>
void on_every_level(F&& f) {
  const MachineState restore;
  for (const std::string& level : cpu_levels()) {
    SCOPED_TRACE(level);
    select_cpu_level(level);
    f(cpu_kernels());
  }
}

TEST(BF16Blocks, CastRoundsEveryHardNumberAtEverySize) {
  on_every_level([](const Kernels& k) {
    for (int64_t n : kSizes)
      for (int64_t shift : {0, 1, 5}) {  // misaligned, and another number in each lane
        const std::vector<float> values = hard_floats(n + shift);
        const Tensor x = Tensor::of<float>(values, {n + shift}).narrow(0, shift, n);
        const Operand out = guarded(n);
        k.cast(x, out.view());
        for (int64_t i = 0; i < n; ++i)
          ASSERT_EQ(out.view().as<BF16>()[i].bits, to_bf16(x.data<float>()[i]).bits)
              << "size " << n << " element " << i;
        ASSERT_TRUE(out.guards_intact()) << n;
      }
  });
}

TEST(BF16Blocks, CastWidensEveryPatternExactly) {
  constexpr int64_t kPatterns = 65536;
  Tensor x({kPatterns}, DType::kBF16), out({kPatterns}, DType::kF32);
  for (int64_t i = 0; i < kPatterns; ++i) x.data<BF16>()[i].bits = static_cast<uint16_t>(i);
  on_every_level([&](const Kernels& k) {
    k.cast(x, out);
    for (int64_t i = 0; i < kPatterns; ++i)
      ASSERT_EQ(std::bit_cast<uint32_t>(out.data<float>()[i]), static_cast<uint32_t>(i) << 16);
    k.cast(out, x);  // and back, but for signalling NaN, which becomes quiet
    for (int64_t i = 0; i < kPatterns; ++i)
      ASSERT_EQ(x.data<BF16>()[i].bits, to_bf16(out.data<float>()[i]).bits);
    for (int64_t i = 0; i < kPatterns; ++i) x.data<BF16>()[i].bits = static_cast<uint16_t>(i);
  });
}

struct Pair {
  Tensor f32, bf16;  // the same values
};

Pair pair_of(const Shape& shape, uint64_t stream) {
  Pair p{Tensor(shape, DType::kF32), Tensor(shape, DType::kBF16)};
  const Rng rng = Rng(7).fork(stream);
  const int64_t n = shape.numel();
  for (int64_t i = 0; i < n; ++i) {
    // Every eleventh is a hard one; which ones differs from operand to operand.
    const auto at = static_cast<uint64_t>(i);
    float value = static_cast<float>(3.0 * rng.normal(at));
    if ((at + stream) % 11 == 0)
      value = std::bit_cast<float>(kHardBits[(at / 11 + stream) % kHardBits.size()]);
    p.bf16.data<BF16>()[i] = to_bf16(value);
    p.f32.data<float>()[i] = to_float(p.bf16.data<BF16>()[i]);
  }
  return p;
}

// The bf16 result is the f32 result of the same inputs, rounded. (f32's own last bit may depend on
// whether an element went through a vector, hence 2^-8 rather than 2^-9.)
void expect_rounded(const TensorView& bf16, const TensorView& f32, const std::string& what) {
  for (int64_t i = 0; i < f32.numel(); ++i) {
    const float got = to_float(bf16.as<BF16>()[i]), want = f32.as<float>()[i];
    const float rounded = to_float(to_bf16(want));
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(got)) << what << " element " << i << ": " << got;
    } else if (std::isinf(want)) {
      ASSERT_EQ(got, want) << what << " element " << i;
    } else if (std::isinf(rounded) || std::isinf(got)) {
      ASSERT_GE(std::abs(want), 3.38e38f) << what << " element " << i;
    } else {
      ASSERT_LE(std::abs(got - want), std::abs(want) / 256 + 1e-40f)
          << what << " element " << i << ": " << got << ", not " << want;
    }
  }
}

TEST(BF16Blocks, ElementwiseKernelsRoundWhatF32Gives) {
  on_every_level([](const Kernels& k) {
    for (int64_t n : kSizes) {
      const Pair a = pair_of({n}, 0), b = pair_of({n}, 1);
      const std::string size = fmt::format(" of {}", n);
      Tensor want({n}, DType::kF32);
      const Operand got = guarded(n);
      k.add(a.f32, b.f32, want);
      k.add(a.bf16, b.bf16, got.view());
      expect_rounded(got.view(), want, "add" + size);
      k.add(a.f32, b.bf16, got.view());
      expect_rounded(got.view(), want, "add of two dtypes" + size);
      k.scale(-0.3, a.f32, want);
      k.scale(-0.3, a.bf16, got.view());
      expect_rounded(got.view(), want, "scale" + size);
      k.scale(-0.3, a.bf16, a.bf16);
      expect_rounded(a.bf16, want, "scale in place" + size);
      k.axpy(1.7, a.bf16, b.f32);
      k.axpy(1.7, a.bf16, b.bf16);
      expect_rounded(b.bf16, b.f32, "axpy" + size);
      ASSERT_TRUE(got.guards_intact()) << n;
    }
  });
}

TEST(BF16Blocks, ActivationsRoundWhatF32Gives) {
  on_every_level([](const Kernels& k) {
    for (const std::string& name : activation_names()) {
      const ActivationId f = find_activation(name);
      for (int64_t n : kSizes) {
        const Pair x = pair_of({n}, 0), dy = pair_of({n}, 1);
        const std::string size = fmt::format(" {} of {}", name, n);
        Tensor want({n}, DType::kF32);
        const Operand got = guarded(n);
        k.activation_backward(f, x.f32, dy.f32, want);
        k.activation_backward(f, x.bf16, dy.bf16, got.view());
        expect_rounded(got.view(), want, "derivative of" + size);
        k.activation(f, x.f32, want);
        k.activation(f, x.bf16, got.view());
        expect_rounded(got.view(), want, "value of" + size);
        ASSERT_TRUE(got.guards_intact()) << size;
      }
    }
  });
}

TEST(BF16Blocks, GatedKernelsRoundWhatF32Gives) {
  on_every_level([](const Kernels& k) {
    for (const std::string& name : activation_names()) {
      const ActivationId f = find_activation(name);
      for (int64_t n : {1, 8, 17, 127, 129, 257, 1025}) {
        const Pair x = pair_of({2, 2 * n}, 0), dy = pair_of({2, n}, 1);
        const std::string size = fmt::format(" {} of {}", name, n);
        Tensor y({2, n}, DType::kF32), y16({2, n}, DType::kBF16);
        k.gated(f, x.f32, y);
        k.gated(f, x.bf16, y16);
        expect_rounded(y16, y, "gated" + size);
        Tensor dx({2, 2 * n}, DType::kF32), dx16({2, 2 * n}, DType::kBF16);
        k.gated_backward(f, x.f32, dy.f32, dx);
        k.gated_backward(f, x.bf16, dy.bf16, dx16);
        expect_rounded(dx16, dx, "gated_backward" + size);
      }
    }
  });
}

TEST(BF16Blocks, CrossEntropyRoundsWhatF32Gives) {
  on_every_level([](const Kernels& k) {
    for (int64_t n : kSizes) {
      const Pair x = pair_of({2, n}, 3);
      for (int64_t i = 0; i < 2 * n; ++i)  // no NaN or +inf, which would fill the row; -inf masks
        if (float& z = x.f32.data<float>()[i]; !(std::abs(z) < 1e30f)) {
          z = -INFINITY;
          x.bf16.data<BF16>()[i] = to_bf16(z);
        }
      x.f32.data<float>()[n] = 0.5f;  // something in every row
      x.f32.data<float>()[0] = -0.5f;
      x.bf16.data<BF16>()[n] = to_bf16(0.5f);
      x.bf16.data<BF16>()[0] = to_bf16(-0.5f);
      const std::vector<int32_t> ids = {0, static_cast<int32_t>(n - 1)};
      const Tensor labels = Tensor::of<int32_t>(ids, {2});
      Tensor want({2, n}, DType::kF32), got({2, n}, DType::kBF16), losses({2}, DType::kF32);
      k.cross_entropy(x.f32, labels, losses, want, 0.25);
      k.cross_entropy(x.f32, labels, losses, got, 0.25);
      expect_rounded(got, want, fmt::format("gradient of {}", n));
      k.cross_entropy(x.bf16, labels, losses, got, 0.25);
      expect_rounded(got, want, fmt::format("gradient of bf16 logits, {}", n));
    }
  });
}

}  // namespace
}  // namespace lathe::kernels::testing
