// Rows by index, and the softmax of router scores.
#include "kernels/harness.h"

namespace lathe::kernels::testing {
namespace {

using Views = std::vector<TensorView>;

struct Sizes {
  int64_t sources, rows, width;
};
// Odd, empty, one wide row, and large enough for two threads.
constexpr Sizes kSizes[] = {{1, 1, 1}, {7, 20, 33}, {5, 0, 8}, {3, 1, 1500}, {40, 150, 513}};

// Some rows are asked for twice, some never, every fourth is to be zero.
Spec row_ids(const Sizes& z) {
  return {.shape = {z.rows}, .kind = Kind::kIndex, .fill = [z](int64_t i, double) {
            return i % 4 == 2 ? -1.0 : static_cast<double>(i * 13 % z.sources);
          }};
}
Spec factors(int64_t count) { return {{count}, Role::kIn, Kind::kFloat}; }

std::vector<Case> gather_rows_cases() {
  std::vector<Case> all;
  for (const Sizes& z : kSizes) {
    const auto name = [&](const char* what) {
      return fmt::format("{}_{}_{}x{}", what, z.sources, z.rows, z.width);
    };
    const Spec x{{z.sources, z.width}}, out{{z.rows, z.width}, Role::kOut};
    all.push_back(
        {name("plain"),
         {x, row_ids(z), out},
         [](const Kernels& k, const Views& v) { k.gather_rows(v[0], v[1], TensorView(), v[2]); },
         0,
         0});
    all.push_back(
        {name("scaled"),
         {x, row_ids(z), factors(z.rows), out},
         [](const Kernels& k, const Views& v) { k.gather_rows(v[0], v[1], v[2], v[3]); }});
    all.push_back({name("dot"),
                   {{{z.rows, z.width}}, x, row_ids(z), {{z.rows}, Role::kOut, Kind::kFloat}},
                   [](const Kernels& k, const Views& v) { k.gather_dot(v[0], v[1], v[2], v[3]); },
                   1e-5,
                   1e-5});
  }
  return all;
}
LATHE_KERNEL_SUITE(GatherRowsKernel, gather_rows_cases());

std::vector<Case> gather_sum_cases() {
  std::vector<Case> all;
  for (const Sizes& z : kSizes)
    for (Write write : {Write::kOverwrite, Write::kAccumulate}) {
      if (z.rows == 0) continue;
      const auto name = [&](const char* what) {
        return fmt::format("{}_{}_{}_{}x{}", what, write == Write::kOverwrite ? "over" : "add",
                           z.sources, z.rows, z.width);
      };
      // List n has n mod 3 rows: none for the first.
      const auto begin_of = [](int64_t n) { return n / 3 * 3 + (n % 3 == 2 ? 1 : 0); };
      const int64_t entries = begin_of(z.sources);
      const Spec begin{.shape = {z.sources + 1},
                       .kind = Kind::kIndex,
                       .fill = [begin_of](int64_t n, double) -> double {
                         return static_cast<double>(begin_of(n));
                       }};
      const Spec index{.shape = {entries}, .kind = Kind::kIndex, .fill = [z](int64_t i, double) {
                         return static_cast<double>(i * 7 % z.rows);
                       }};
      const Spec x{{z.rows, z.width}};
      const Spec out{{z.sources, z.width}, write == Write::kOverwrite ? Role::kOut : Role::kInOut};
      all.push_back(
          {name("plain"), {x, begin, index, out}, [write](const Kernels& k, const Views& v) {
             k.gather_sum(v[0], {v[1], v[2]}, TensorView(), v[3], write);
           }});
      all.push_back({name("scaled"),
                     {x, begin, index, factors(z.rows), out},
                     [write](const Kernels& k, const Views& v) {
                       k.gather_sum(v[0], {v[1], v[2]}, v[3], v[4], write);
                     }});
    }
  return all;
}
LATHE_KERNEL_SUITE(GatherSumKernel, gather_sum_cases());

std::vector<Case> softmax_cases() {
  std::vector<Case> all;
  for (const Shape& s : {Shape{1, 1}, Shape{3, 17}, Shape{0, 8}, Shape{700, 8}, Shape{37, 260}})
    for (double size : {1.0, 40.0}) {  // of the scores
      const auto name = [&](const char* what) {
        return fmt::format("{}_{}_size{}", what, name_of_shape(s), size);
      };
      const auto fill = [size](int64_t, double z) { return size * z; };
      const Spec x{.shape = s, .fill = fill};
      all.push_back({name("forward"),
                     {x, {s, Role::kOut}, {{s[0]}, Role::kOut, Kind::kFloat}},
                     [](const Kernels& k, const Views& v) { k.softmax(v[0], v[1], v[2]); },
                     1e-5,
                     5e-3});
      all.push_back({name("in_place"),
                     {{.shape = s, .role = Role::kInOut, .fill = fill}},
                     [](const Kernels& k, const Views& v) { k.softmax(v[0], v[0], TensorView()); },
                     1e-5,
                     5e-3});
      all.push_back(
          {name("backward"), {{s}, {s}, {s, Role::kOut}}, [](const Kernels& k, const Views& v) {
             k.softmax_backward(v[0], v[1], v[2]);
           }});
    }
  return all;
}
LATHE_KERNEL_SUITE(SoftmaxKernel, softmax_cases());

}  // namespace
}  // namespace lathe::kernels::testing
