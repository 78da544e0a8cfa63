#include "kernels/every_table.h"

namespace lathe::kernels::testing {
namespace {

using Views = std::vector<TensorView>;

TensorView transposed(TensorView t) {
  std::swap(t.shape[0], t.shape[1]);
  std::swap(t.stride[0], t.stride[1]);
  return t;
}

// Which operands are f32 beside bf16 ones.
enum class Wide { kNone, kResult, kAllButWeights };
constexpr const char* kWideNames[] = {"", "_f32", "_f32_but_weights"};

struct Sizes {
  int64_t m, n, k;
};
const std::vector<Sizes> kSizes = {{1, 1, 1},
                                   {1, 65, 130},
                                   {3, 5, 7},
                                   {33, 17, 64},
                                   {70, 48, 1},
                                   // More than one block of rows, columns and depth, none of them
                                   // whole.
                                   {101, 37, 300},
                                   {293, 70, 271},
                                   {290, 530, 20},
                                   {20, 530, 260},
                                   {16, 33, 600},
                                   {50, 33, 517}};
// Of row_matmul, which is the same where no library computes matmul.
const std::vector<Sizes> kRowSizes = {{1, 65, 130}, {33, 17, 64}, {16, 33, 600}};
const std::vector<Sizes> kEmptySizes = {{0, 4, 4}, {4, 0, 3}, {4, 3, 0}};

using Product = decltype(Kernels::matmul) Kernels::*;

std::vector<Case> matmul_cases(const std::vector<Sizes>& sizes,
                               Product product = &Kernels::matmul) {
  std::vector<Case> all;
  for (const Sizes& z : sizes)
    for (int layout = 0; layout < 4; ++layout)
      for (bool accumulate : {false, true})
        for (Wide wide : {Wide::kNone, Wide::kResult, Wide::kAllButWeights}) {
          const bool ta = layout & 1, tb = layout & 2;
          const Kind kind = wide == Wide::kNone ? Kind::kActivation : Kind::kFloat;
          const Kind a_kind = wide == Wide::kAllButWeights ? Kind::kFloat : Kind::kActivation;
          const Spec a{ta ? Shape{z.k, z.m} : Shape{z.m, z.k}, Role::kIn, a_kind};
          const Spec b{tb ? Shape{z.n, z.k} : Shape{z.k, z.n}};
          const Spec bias{{z.n}};
          const Spec c{{z.m, z.n}, accumulate ? Role::kInOut : Role::kOut, kind};
          const bool with_bias = (wide == Wide::kResult) != ta;
          all.push_back(
              {fmt::format("{}x{}x{}_{}{}{}{}", z.m, z.n, z.k, ta ? "t" : "n", tb ? "t" : "n",
                           accumulate ? "_add" : "", kWideNames[static_cast<int>(wide)]),
               {a, b, bias, c},
               [=](const Kernels& k, const Views& v) {
                 (k.*product)(ta ? transposed(v[0]) : v[0], tb ? transposed(v[1]) : v[1],
                              with_bias ? v[2] : TensorView{}, v[3],
                              accumulate ? Write::kAccumulate : Write::kOverwrite);
               }});
        }
  return all;
}
LATHE_KERNEL_SUITE(MatmulKernel, matmul_cases(kSizes));
LATHE_KERNEL_SUITE(RowMatmulKernel, matmul_cases(kRowSizes, &Kernels::row_matmul));
LATHE_KERNEL_SUITE(EmptyMatmulKernel, matmul_cases(kEmptySizes));
LATHE_KERNEL_SUITE(EmptyRowMatmulKernel, matmul_cases(kEmptySizes, &Kernels::row_matmul));

class MatmulPairs : public ::testing::TestWithParam<Sizes> {};
TEST_P(MatmulPairs, AgreeWithTheReference) {
  for (const Case& c : matmul_cases({GetParam()}))
    for (const Kernels* k : {&pair_kernels(), &tile_kernels()}) check_bf16(c, *k);
}
INSTANTIATE_TEST_SUITE_P(, MatmulPairs, ::testing::ValuesIn(kSizes), [](const auto& sizes) {
  return fmt::format("{}x{}x{}", sizes.param.m, sizes.param.n, sizes.param.k);
});

// The gradient of weights over many tokens: several units, each by slices of K. Elements drawn at
// random are compared with their sums in double, and all of them with what other numbers of threads
// give.
TEST(LargeProduct, IsSoundInBothLayoutsAndTheSameForAnyThreads) {
  constexpr int64_t kM = 601, kN = 301, kK = 7101;
  const auto random = [](const Shape& shape, uint64_t seed) {
    Tensor t(shape, DType::kF32);
    for (int64_t i = 0; i < t.numel(); ++i)
      t.data<float>()[i] = static_cast<float>(Rng(seed).uniform(static_cast<uint64_t>(i)) - 0.5);
    return t;
  };
  const int threads = thread_count();
  for (const Kernels* k : {&cpu_kernels(), &pair_kernels(), &tile_kernels()})
    for (const DType type : {DType::kF32, DType::kBF16})
      for (const bool across : {false, true}) {
        SCOPED_TRACE(fmt::format("{} {} {}", k->level, name_of(type), across));
        const Tensor a = random(across ? Shape{kK, kM} : Shape{kM, kK}, 1).to(type);
        const Tensor b = random(across ? Shape{kK, kN} : Shape{kN, kK}, 2).to(type);
        std::vector<std::vector<double>> results;
        for (const int n : {1, 2, 3}) {
          set_thread_count(n);
          Tensor c({kM, kN}, DType::kF32);
          k->matmul(across ? transposed(a) : a.view(), across ? b.view() : transposed(b),
                    TensorView(), c, Write::kOverwrite);
          results.push_back(c.to_vector());
        }
        set_thread_count(threads);
        EXPECT_EQ(results[0], results[1]);
        EXPECT_EQ(results[0], results[2]);
        const std::vector<double> x = a.to_vector(), y = b.to_vector();
        for (uint64_t i = 0; i < 400; ++i) {
          const auto m = static_cast<int64_t>(Rng(3).below(2 * i, kM)),
                     n = static_cast<int64_t>(Rng(3).below(2 * i + 1, kN));
          double sum = 0;
          for (int64_t j = 0; j < kK; ++j)
            sum += x[static_cast<size_t>(across ? j * kM + m : m * kK + j)] *
                   y[static_cast<size_t>(across ? j * kN + n : n * kK + j)];
          ASSERT_NEAR(results[0][static_cast<size_t>(m * kN + n)], sum, 1e-3) << m << " " << n;
        }
      }
}

// x is split into pieces of bf16 where tiles multiply it: nothing of it may be lost.
TEST(FloatsByWeightsInBf16, AreAsAccurateAsFloats) {
  const auto levels = cpu_levels();
  const MachineState restore;
  const auto check = [](const Kernels& k, int64_t rows, int64_t columns, int64_t depth) {
    SCOPED_TRACE(fmt::format("{} {} {} {}", k.level, rows, columns, depth));
    const Tensor x = random_tensor({rows, depth}, "x", DType::kF32),
                 w = random_tensor({columns, depth}, "w", DType::kBF16);
    Tensor y({rows, columns}, DType::kF32);
    k.row_matmul(x, transposed(w), TensorView(), y, Write::kOverwrite);
    const std::vector<double> a = x.to_vector(), b = w.to_vector(), c = y.to_vector();
    for (int64_t m = 0; m < rows; ++m)
      for (int64_t n = 0; n < columns; ++n) {
        double sum = 0, size = 0;
        for (int64_t i = 0; i < depth; ++i) {
          const double product =
              a[static_cast<size_t>(m * depth + i)] * b[static_cast<size_t>(n * depth + i)];
          sum += product, size += std::abs(product);
        }
        // Rounding errors have random signs: what is left of them is some units in the last place.
        ASSERT_NEAR(c[static_cast<size_t>(m * columns + n)], sum, 2.4e-7 * size) << m << " " << n;
      }
  };
  const auto check_all = [&](const Kernels& k) {
    for (const Sizes& z :
         {Sizes{1, 40, 64}, {20, 70, 300}, {70, 20, 300}, {40, 33, 5}, {33, 40, 1000}})
      check(k, z.m, z.n, z.k);
  };
  check_all(tile_kernels());
  for (const std::string& level : levels) {
    select_cpu_level(level);
    check_all(cpu_kernels());
  }
}

// An infinity stays one, and what is not a number too: beside each other row, which knows nothing of it.
TEST(FloatsByWeightsInBf16, KeepWhatIsNotFinite) {
  for (const Kernels* k : {&tile_kernels(), &cpu_kernels()})
    for (const int64_t columns : {2, 40}) {
      Tensor x({4, 40}, DType::kF32), y({4, columns}, DType::kF32);
      std::ranges::fill(x.span<float>(), 1.0f);
      const Tensor w = x.narrow(0, 0, 1).clone().to(DType::kBF16);
      Tensor weights({columns, 40}, DType::kBF16);
      for (int64_t n = 0; n < columns; ++n) weights.narrow(0, n, 1).copy_from(w);
      x.data<float>()[40 + 7] = std::numeric_limits<float>::infinity();
      x.data<float>()[80 + 33] = std::nanf("");
      x.data<float>()[120] = 3.4e38f;  // beyond the largest of bf16
      k->row_matmul(x, transposed(weights), TensorView(), y, Write::kOverwrite);
      const std::vector<double> c = y.to_vector();
      for (int64_t n = 0; n < columns; ++n) {
        EXPECT_EQ(c[static_cast<size_t>(n)], 40.0);
        EXPECT_EQ(c[static_cast<size_t>(columns + n)], std::numeric_limits<double>::infinity());
        EXPECT_TRUE(std::isnan(c[static_cast<size_t>(2 * columns + n)]));
        EXPECT_NEAR(c[static_cast<size_t>(3 * columns + n)], 3.4e38, 1e33);
      }
    }
}

}  // namespace
}  // namespace lathe::kernels::testing
