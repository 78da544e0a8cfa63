#include "kernels/harness.h"

namespace lathe::kernels::testing {
namespace {

using Views = std::vector<TensorView>;

std::vector<Case> cases() {
  std::vector<Case> all;
  std::vector<Shape> shapes = row_shapes();
  shapes.insert(shapes.end(), {Shape{5}, Shape{2, 3, 4}, Shape{3, 0, 2}, Shape{2, 1, 3, 9}});
  for (const Shape& s : shapes) {
    const auto name = [&](const char* kernel) {
      return fmt::format("{}_{}", kernel, name_of_shape(s));
    };
    const Spec in{s}, out{s, Role::kOut}, inout{s, Role::kInOut};
    const Spec master{s, Role::kInOut, Kind::kFloat};
    all.push_back({name("add"), {in, in, out}, [](const Kernels& k, const Views& v) {
                     k.add(v[0], v[1], v[2]);
                   }});
    all.push_back({name("add_in_place"), {inout, in}, [](const Kernels& k, const Views& v) {
                     k.add(v[0], v[1], v[0]);
                   }});
    all.push_back({name("add_to_itself"), {inout}, [](const Kernels& k, const Views& v) {
                     k.add(v[0], v[0], v[0]);
                   }});
    all.push_back({name("axpy"), {in, inout}, [](const Kernels& k, const Views& v) {
                     k.axpy(-0.37, v[0], v[1]);
                   }});
    all.push_back({name("axpy_to_f32"), {in, master}, [](const Kernels& k, const Views& v) {
                     k.axpy(3.25, v[0], v[1]);
                   }});
    all.push_back({name("scale"), {in, out}, [](const Kernels& k, const Views& v) {
                     k.scale(0.125, v[0], v[1]);
                   }});
    all.push_back({name("scale_in_place"), {inout}, [](const Kernels& k, const Views& v) {
                     k.scale(-1.5, v[0], v[0]);
                   }});
    all.push_back({name("cast_to_f32"),
                   {in, {s, Role::kOut, Kind::kFloat}},
                   [](const Kernels& k, const Views& v) { k.cast(v[0], v[1]); },
                   0,
                   0});
    all.push_back({name("cast_from_f32"),
                   {{s, Role::kIn, Kind::kFloat}, out},
                   [](const Kernels& k, const Views& v) { k.cast(v[0], v[1]); },
                   0,
                   4e-3});
  }
  return all;
}
LATHE_KERNEL_SUITE(ElementwiseKernel, cases());

std::vector<Case> reduction_cases() {
  std::vector<Case> all;
  std::vector<Shape> shapes = row_shapes();
  shapes.insert(shapes.end(), {Shape{700, 70}, Shape{0, 3}});
  for (const Shape& s : shapes) {
    const auto name = [&](const char* kernel) {
      return fmt::format("{}_{}", kernel, name_of_shape(s));
    };
    const Shape columns{s[1]};
    all.push_back(
        {name("sum_rows"),
         {{s}, {columns, Role::kOut, Kind::kFloat}},
         [](const Kernels& k, const Views& v) { k.sum_rows(v[0], v[1], Write::kOverwrite); },
         1e-5,
         1e-5});
    all.push_back(
        {name("sum_rows_add"),
         {{s}, {columns, Role::kInOut, Kind::kFloat}},
         [](const Kernels& k, const Views& v) { k.sum_rows(v[0], v[1], Write::kAccumulate); },
         1e-5,
         1e-5});
    all.push_back(
        {name("sum_rows_same_dtype"),
         {{s}, {columns, Role::kOut}},
         [](const Kernels& k, const Views& v) { k.sum_rows(v[0], v[1], Write::kOverwrite); }});
  }
  return all;
}
LATHE_KERNEL_SUITE(SumRowsKernel, reduction_cases());

double sum_squares_of(const Kernels& kernels, std::vector<float> values) {
  const Tensor t = Tensor::of<float>(values, {static_cast<int64_t>(values.size())});
  return kernels.sum_squares(t);
}

TEST(SumSquares, EqualsTheReferenceForAnyThreadCount) {
  const MachineState restore;
  for (int64_t n : {0, 1, 7, 65536, 200001}) {
    std::vector<float> values(static_cast<size_t>(n));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] =
          static_cast<float>(Rng(3).normal(i) * 1e15);  // f32 squares would lose or overflow
    if (n > 3) values[3] = 1e25f;
    const double want = sum_squares_of(ref_kernels(), values);
    for (const std::string& level : cpu_levels()) {
      select_cpu_level(level);
      set_thread_count(1);
      const double one = sum_squares_of(cpu_kernels(), values);
      EXPECT_NEAR(one, want, want * 1e-13);
      set_thread_count(2);
      EXPECT_EQ(sum_squares_of(cpu_kernels(), values), one);
    }
  }
}

TEST(SumSquares, ReportsNaN) {
  const MachineState restore;
  std::vector<float> values(1000, 1.0f);
  values[999] = std::nanf("");
  for (const std::string& level : cpu_levels()) {
    select_cpu_level(level);
    EXPECT_TRUE(std::isnan(sum_squares_of(cpu_kernels(), values)));
  }
}

// Every pair of floating dtypes, transposed input: what loading and copying need.
TEST(Cast, AllDTypesAndStrides) {
  const MachineState restore;
  const DType all[] = {DType::kF32, DType::kBF16, DType::kF16, DType::kF64};
  for (const std::string& level : cpu_levels()) {
    select_cpu_level(level);
    for (DType from : all)
      for (DType to : all)
        for (bool transposed : {false, true}) {
          Tensor x({3, 2, 5}, from);
          for (int64_t i = 0; i < 30; ++i) ref::store(x, i, static_cast<double>(i) * 0.1 - 1.0);
          const Tensor source = transposed ? x.transpose(0, 2) : x;
          Tensor got(source.shape(), to), want(source.shape(), to);
          cpu_kernels().cast(source, got);
          ref_kernels().cast(source, want);
          EXPECT_EQ(got.to_vector(), want.to_vector())
              << level << " " << name_of(from) << " to " << name_of(to);
        }
  }
}

TEST(Cast, RoundsLikeTheReferenceBitForBit) {
  const MachineState restore;
  const float specials[] = {0.0f,     -0.0f,     1.00390625f,   1.01171875f, 3.4e38f,  1e-40f,
                            INFINITY, -INFINITY, std::nanf(""), 65519.0f,    65520.0f, 6e-8f};
  for (const std::string& level : cpu_levels()) {
    select_cpu_level(level);
    for (DType to : {DType::kBF16, DType::kF16}) {
      const Tensor x = Tensor::of<float>(specials, {12});
      const Tensor got({12}, to), want({12}, to);
      cpu_kernels().cast(x, got);
      ref_kernels().cast(x, want);
      EXPECT_EQ(0, std::memcmp(got.raw(), want.raw(), got.bytes())) << level;
    }
  }
}

}  // namespace
}  // namespace lathe::kernels::testing
