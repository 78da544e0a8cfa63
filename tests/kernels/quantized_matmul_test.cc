// Products with quantised weights. The layout holds the very elements of the blocks; the fast
// kernels round x to int8 and nothing else, which two bounds check: against the exact product, by
// how far rounding can move x, and against the product with x rounded alike, by the error of f32.
#include <map>

#include "kernels/every_table.h"
#include "lathe/kernels/cpu/isa/isa.h"
#include "lathe/kernels/quantized/packed_rows.h"

namespace lathe::kernels::testing {
namespace {

constexpr std::string_view kTypes[] = {"Q8_0", "Q4_0", "Q4_1", "Q5_0",
                                       "Q5_1", "Q4_K", "Q5_K", "Q6_K"};

const BlockType& type_of(std::string_view name) { return *find_block_type(name); }

std::vector<float> normals(int64_t n, uint64_t seed) {
  std::vector<float> x(static_cast<size_t>(n));
  const Rng rng(seed);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(rng.normal(i));
  return x;
}

Tensor constant(const Shape& shape, double value) {
  const Tensor t(shape, DType::kF32);
  std::ranges::fill(t.span<float>(), static_cast<float>(value));
  return t;
}

void pack(const PackedRows& form, const std::vector<std::byte>& blocks, std::span<std::byte> out) {
  const size_t row_bytes = blocks.size() / static_cast<size_t>(form.rows);
  std::vector<const std::byte*> rows;
  for (size_t at = 0; at < blocks.size(); at += row_bytes) rows.push_back(blocks.data() + at);
  pack_rows(form, rows, out);
}

// Blocks of random weights, packed.
struct Packed {
  std::vector<std::byte> blocks;
  Tensor bytes;
  PackedRows rows;

  Packed(std::string_view name, int64_t count, int64_t columns, uint64_t seed = 3)
      : rows(packed_form(type_of(name), count, columns)) {
    const BlockType& type = type_of(name);
    blocks.resize(static_cast<size_t>(count * columns / type.block * type.bytes));
    type.encode(normals(count * columns, seed), {}, blocks);
    bytes = Tensor({rows.bytes()}, DType::kU8);
    pack(rows, blocks, {bytes.raw(), bytes.bytes()});
    rows.data = bytes.raw();
  }
};

std::vector<float> elements(const PackedRows& rows) {
  std::vector<float> all(static_cast<size_t>(rows.rows * rows.columns));
  for (int64_t r = 0; r < rows.rows; ++r)
    unpack_row(rows, r,
               std::span(all).subspan(static_cast<size_t>(r * rows.columns),
                                      static_cast<size_t>(rows.columns)));
  return all;
}

TEST(PackedRows, HoldTheElementsOfTheBlocks) {
  for (const std::string_view name : kTypes)
    for (const int64_t rows : {1, 15, 16, 33})
      for (const int64_t columns : {256, 768}) {
        const Packed p(name, rows, columns, static_cast<uint64_t>(rows));
        std::vector<float> want(static_cast<size_t>(rows * columns));
        type_of(name).decode(p.blocks, want);
        EXPECT_EQ(elements(p.rows), want) << name << " " << rows << "x" << columns;
      }
}

TEST(PackedRows, HoldEveryBitPattern) {
  for (const std::string_view name : kTypes) {
    const BlockType& type = type_of(name);
    const int64_t rows = 40, columns = 512;
    std::vector<std::byte> blocks(static_cast<size_t>(rows * columns / type.block * type.bytes));
    for (size_t i = 0; i < blocks.size(); ++i)
      blocks[i] = static_cast<std::byte>(Rng(6).bits32(i) & 0xBFu);  // f16 without NaN or infinity
    PackedRows packed = packed_form(type, rows, columns);
    std::vector<std::byte> bytes(static_cast<size_t>(packed.bytes()));
    pack(packed, blocks, bytes);
    packed.data = bytes.data();
    std::vector<float> want(static_cast<size_t>(rows * columns));
    type.decode(blocks, want);
    EXPECT_EQ(elements(packed), want) << name;
    EXPECT_LE(static_cast<double>(packed.strip_bytes()) / 16 / columns * type.block,
              1.03 * static_cast<double>(type.bytes) + 0.1);
  }
}

TEST(PackedRows, RefuseWhatTheyCannotHold) {
  EXPECT_FALSE(can_pack(type_of("F16")));
  EXPECT_THROW(packed_form(type_of("F16"), 4, 64), Error);
  EXPECT_THROW(packed_form(type_of("Q8_0"), 4, 48), Error);
  EXPECT_THROW(packed_form(type_of("Q4_K"), 4, 32), Error);
}

// Every compiled kernel that this machine runs, by the name of its level.
using Product = decltype(Kernels::quantized_matmul);
std::map<std::string, Product> products() {
  const MachineState restore;
  std::map<std::string, Product> all;
  for (const std::string& level : cpu_levels()) {
    select_cpu_level(level);
    all[level] = cpu_kernels().quantized_matmul;
  }
  select_cpu_level(cpu_levels().back());
#if defined(__x86_64__)
  // Where the machine has VNNI, the levels above use it.
  if (all.contains("avx2")) all["avx2 without VNNI"] = isa_avx2::quantized_matmul;
  if (all.contains("avx512")) all["avx512 without VNNI"] = isa_avx512::quantized_matmul;
#endif
  return all;
}

// x as the fast kernels round it, how far that can move an element, and how far the kernel may
// differ from `values`: a step where the quotient is so near to a half that f32 decides.
struct RoundedX {
  std::vector<double> values, half_step, undecided;
};
RoundedX rounded(const Tensor& x) {
  const std::vector<double> all = x.to_vector();
  RoundedX out;
  for (size_t g = 0; g < all.size(); g += kGroup) {
    double largest = 0;
    for (size_t i = g; i < g + kGroup; ++i) largest = std::max(largest, std::abs(all[i]));
    const double scale = largest / 127;
    for (size_t i = g; i < g + kGroup; ++i) {
      const double quotient = scale == 0 ? 0 : all[i] / scale;
      out.values.push_back(scale * std::round(quotient));
      out.half_step.push_back(scale * 0.5001);
      const double from_half = std::abs(std::abs(quotient - std::trunc(quotient)) - 0.5);
      out.undecided.push_back(from_half < 1e-4 ? scale : 0);
    }
  }
  return out;
}

struct Sizes {
  int64_t n, o, k;
};

// Of a row of x by a row of w.
struct Sums {
  double product = 0, product_of_rounded = 0, step = 0, undecided = 0, magnitude = 0;
  double f32() const { return 2e-6 * magnitude + 1e-12; }
};
Sums sums_of(std::span<const double> x, const RoundedX& r, size_t at, std::span<const float> w) {
  Sums s;
  for (size_t k = 0; k < w.size(); ++k) {
    const double v = static_cast<double>(w[k]);
    s.product += x[k] * v;
    s.product_of_rounded += r.values[at + k] * v;
    s.step += std::abs(v) * r.half_step[at + k];
    s.undecided += std::abs(v) * r.undecided[at + k];
    s.magnitude += std::abs(v) * (std::abs(x[k]) + 1);
  }
  return s;
}

void expect_product(Product product, std::string_view name, const Sizes& z, DType dtype) {
  const Packed w(name, z.o, z.k);
  const Tensor x = random_tensor({z.n, z.k}, "x", dtype), y = spoiled({z.n, z.o}, dtype),
               bias = random_tensor({z.o}, "bias");
  product(x, {{&w.rows, 1}}, bias, y);
  const std::vector<double> xs = x.to_vector(), b = bias.to_vector(), got = y.to_vector();
  const std::vector<float> all = elements(w.rows);
  const RoundedX r = rounded(x);
  const double coarse = dtype == DType::kBF16 ? 1.0 / 256 : 0;
  for (int64_t n = 0; n < z.n; ++n)
    for (int64_t o = 0; o < z.o; ++o) {
      const auto row = static_cast<size_t>(n * z.k);
      const Sums s =
          sums_of(std::span(xs).subspan(row), r, row,
                  std::span(all).subspan(static_cast<size_t>(o * z.k), static_cast<size_t>(z.k)));
      const double bias_o = b[static_cast<size_t>(o)], is = got[static_cast<size_t>(n * z.o + o)];
      const double output = coarse * std::abs(s.product + bias_o) + s.f32();
      ASSERT_LE(std::abs(is - s.product - bias_o), s.step * (1 + coarse) + output) << n << " " << o;
      ASSERT_LE(std::abs(is - s.product_of_rounded - bias_o),
                s.undecided * (1 + coarse) + coarse * s.step + output)
          << n << " " << o << " rounds otherwise than it says";
    }
}

TEST(QuantizedMatmul, IsWithinTheRoundingOfX) {
  for (const auto& [level, product] : products())
    for (const std::string_view name : kTypes)
      for (const Sizes& z : {Sizes{1, 1, 256},
                             {1, 70, 256},
                             {2, 17, 512},
                             {5, 33, 256},
                             {23, 50, 768},
                             {70, 16, 256}})
        for (const DType dtype : {DType::kF32, DType::kBF16}) {
          SCOPED_TRACE(::testing::Message() << level << " " << name << " " << name_of(dtype) << " "
                                            << z.n << "x" << z.o << "x" << z.k);
          expect_product(product, name, z, dtype);
          if (HasFailure()) return;
        }
}

TEST(QuantizedMatmul, TakesRowsOfOneGroup) {
  for (const auto& [level, product] : products())
    for (const std::string_view name : {"Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"}) {
      SCOPED_TRACE(::testing::Message() << level << " " << name);
      expect_product(product, name, {3, 19, 32}, DType::kF32);
      expect_product(product, name, {9, 40, 96}, DType::kF32);
    }
}

TEST(QuantizedMatmul, ExtremeIntegersAreExact) {
  // The largest integers of both sides: sums of pairs of bytes must not saturate.
  for (const auto& [level, product] : products())
    for (const std::string_view name : kTypes) {
      const BlockType& type = type_of(name);
      std::vector<std::byte> blocks(static_cast<size_t>(256 / type.block * type.bytes),
                                    std::byte{0xFF});
      for (int64_t b = 0; b < 256 / type.block; ++b) {  // scales of 1: f16 0x3C00
        std::byte* block = blocks.data() + b * type.bytes;
        const int64_t at = name == "Q6_K" ? 208 : 0;
        block[at] = std::byte{0}, block[at + 1] = std::byte{0x3C};
        if (name.ends_with("_1") || name == "Q4_K" || name == "Q5_K")
          block[2] = std::byte{0}, block[3] = std::byte{0x3C};
        if (name == "Q8_0")
          for (int i = 0; i < 32; ++i) block[2 + i] = static_cast<std::byte>(i % 2 ? 0x7F : 0x80);
      }
      PackedRows w = packed_form(type, 1, 256);
      std::vector<std::byte> bytes(static_cast<size_t>(w.bytes()));
      pack(w, blocks, bytes);
      w.data = bytes.data();
      for (const double sign : {1.0, -1.0}) {
        const Tensor x = constant({1, 256}, sign), y = spoiled({1, 1}, DType::kF32);
        product(x, {{&w, 1}}, {}, y);
        double want = 0;
        for (const float v : elements(w)) want += sign * static_cast<double>(v);
        EXPECT_NEAR(y.to_vector()[0], want, 1e-6 * std::abs(want) + 1e-3) << level << " " << name;
      }
    }
}

// The bits of a row do not depend on how many there are, which stands beside it, or the threads.
TEST(QuantizedMatmul, ARowHasTheSameBitsInEveryBatch) {
  const MachineState restore;
  for (const auto& [level, product] : products())
    for (const std::string_view name : kTypes) {
      const int64_t o = 150, k = 512, most = 70;
      const Packed w(name, o, k);
      const Tensor x = random_tensor({most, k}, "x");
      set_thread_count(1);
      std::vector<std::vector<double>> alone;
      for (int64_t n = 0; n < most; ++n) {
        const Tensor y = spoiled({1, o}, DType::kF32);
        product(x.narrow(0, n, 1), {{&w.rows, 1}}, {}, y);
        alone.push_back(y.to_vector());
      }
      for (const int threads : {1, 2, 3})
        for (const int64_t n : {1, 2, 3, 5, 8, 17, 70}) {
          set_thread_count(threads);
          const int64_t first = most - n;
          const Tensor y = spoiled({n, o}, DType::kF32);
          product(x.narrow(0, first, n), {{&w.rows, 1}}, {}, y);
          for (int64_t i = 0; i < n; ++i)
            ASSERT_EQ(part(y, 0, i, 1), alone[static_cast<size_t>(first + i)])
                << level << " " << name << " row " << i << " of " << n;
        }
    }
}

TEST(QuantizedMatmul, EveryNumberOfRows) {
  const MachineState restore;
  set_thread_count(2);
  const Packed w("Q5_1", 75, 160);
  const Tensor x = random_tensor({70, 160}, "x"), all = spoiled({70, 75}, DType::kF32);
  for (const auto& [level, product] : products()) {
    product(x, {{&w.rows, 1}}, {}, all);
    for (int64_t n = 1; n < 70; ++n) {
      const Tensor y = spoiled({n, 75}, DType::kF32);
      product(x.narrow(0, 0, n), {{&w.rows, 1}}, {}, y);
      ASSERT_EQ(y.to_vector(), part(all, 0, 0, n)) << level << " " << n;
    }
  }
}

TEST(QuantizedMatmul, PartsOfSeveralForms) {
  const Packed a("Q4_0", 21, 256), b("Q8_0", 7, 256), c("Q6_K", 33, 256);
  const PackedRows parts[] = {a.rows, b.rows, c.rows};
  const Tensor x = random_tensor({4, 256}, "x"), bias = random_tensor({61}, "b", DType::kBF16),
               y = spoiled({4, 61}, DType::kF32);
  cpu_kernels().quantized_matmul(x, {parts}, bias, y);
  int64_t at = 0;
  for (const PackedRows& rows : parts) {
    const Tensor alone = spoiled({4, rows.rows}, DType::kF32);
    cpu_kernels().quantized_matmul(x, {{&rows, 1}}, bias.narrow(0, at, rows.rows), alone);
    EXPECT_EQ(part(y, 1, at, rows.rows), alone.to_vector());
    at += rows.rows;
  }
}

TEST(QuantizedMatmul, WhatIsNotFiniteStaysSo) {
  for (const auto& [level, product] : products())
    for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
      const Packed w("Q4_0", 20, 64);
      const Tensor x = random_tensor({3, 64}, "x"), y = spoiled({3, 20}, DType::kF32);
      x.data<float>()[64 + 5] = bad;
      product(x, {{&w.rows, 1}}, {}, y);
      const std::vector<double> got = y.to_vector();
      for (size_t i = 0; i < got.size(); ++i)
        EXPECT_EQ(std::isfinite(got[i]), i / 20 != 1) << level << " " << bad;
    }
}

TEST(QuantizedMatmul, TinyAndHugeInputs) {
  for (const auto& [level, product] : products())
    for (const double size : {0.0, 1e-42, 1e-38, 1e30}) {
      const Packed w("Q8_0", 4, 32);
      const Tensor x = constant({1, 32}, size), y = spoiled({1, 4}, DType::kF32);
      product(x, {{&w.rows, 1}}, {}, y);
      const std::vector<float> all = elements(w.rows);
      for (size_t o = 0; o < 4; ++o) {
        double want = 0;
        for (size_t k = 0; k < 32; ++k) want += size * static_cast<double>(all[o * 32 + k]);
        EXPECT_NEAR(y.to_vector()[o], want, size * 1e-3 + 1e-35) << level;
      }
    }
}

const Packed& suite_weights() {
  static const Packed w("Q5_1", 37, 96);
  return w;
}
// The harness gives operands of every type and layout; x has few elements that rounding moves much.
std::vector<Case> quantized_cases() {
  std::vector<Case> all;
  for (const int64_t n : {1, 6, 40})
    all.push_back({fmt::format("{}x37x96", n),
                   {{{n, 96}}, {{37}}, {{n, 37}, Role::kOut}},
                   [](const Kernels& k, const std::vector<TensorView>& v) {
                     k.quantized_matmul(v[0], {{&suite_weights().rows, 1}}, v[1], v[2]);
                   },
                   /*f32=*/1.5e-2,
                   /*bf16=*/2e-2});
  all.push_back({"empty",
                 {{{0, 96}}, {{37}}, {{0, 37}, Role::kOut}},
                 [](const Kernels& k, const std::vector<TensorView>& v) {
                   k.quantized_matmul(v[0], {{&suite_weights().rows, 1}}, v[1], v[2]);
                 }});
  return all;
}
LATHE_KERNEL_SUITE(QuantizedMatmulKernel, quantized_cases());

}  // namespace
}  // namespace lathe::kernels::testing
