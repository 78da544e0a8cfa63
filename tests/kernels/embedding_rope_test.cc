#include "kernels/harness.h"

namespace lathe::kernels::testing {
namespace {

using Views = std::vector<TensorView>;

std::vector<Case> embedding_cases() {
  struct Sizes {
    int64_t vocab, rows, width;
  };
  std::vector<Case> all;
  for (const Sizes z : {Sizes{1, 1, 1}, {7, 20, 33}, {50, 0, 8}, {11, 400, 129}, {3, 5, 1000}}) {
    const auto name = [&](const char* kernel) {
      return fmt::format("{}_{}x{}x{}", kernel, z.vocab, z.rows, z.width);
    };
    // Few distinct ids, so that they repeat.
    const Spec ids{.shape = {z.rows}, .kind = Kind::kIndex, .fill = [z](int64_t i, double) {
                     return static_cast<double>(
                         Rng(5).below(static_cast<uint64_t>(i), static_cast<uint64_t>(z.vocab)));
                   }};
    const Shape table{z.vocab, z.width}, rows{z.rows, z.width};
    all.push_back({name("lookup"),
                   {{table}, ids, {rows, Role::kOut}},
                   [](const Kernels& k, const Views& v) { k.embedding(v[0], v[1], v[2]); },
                   0,
                   0});
    all.push_back({name("lookup_in_f32"),
                   {{table, Role::kIn, Kind::kFloat}, ids, {rows, Role::kOut}},
                   [](const Kernels& k, const Views& v) { k.embedding(v[0], v[1], v[2]); },
                   0,
                   4e-3});
    all.push_back({name("backward"),
                   {ids, {rows}, {table, Role::kInOut, Kind::kFloat}},
                   [](const Kernels& k, const Views& v) { k.embedding_backward(v[0], v[1], v[2]); },
                   1e-5,
                   1e-5});
  }
  return all;
}
LATHE_KERNEL_SUITE(EmbeddingKernel, embedding_cases());

constexpr int64_t kPositions = 40;

std::vector<Case> rope_cases() {
  struct Sizes {
    int64_t batch, length, heads, depth, rotated;
  };
  std::vector<Case> all;
  for (const Sizes z : {Sizes{1, 1, 1, 2, 2},
                        {2, 5, 3, 8, 8},
                        {2, 3, 2, 10, 6},
                        {1, 0, 2, 4, 4},
                        {2, 33, 4, 66, 64},
                        {1, 1, 32, 128, 128},
                        {1, 2, 1, 6, 0}})
    for (RopeLayout layout : {RopeLayout::kHalfSplit, RopeLayout::kInterleaved})
      for (bool inverse : {false, true}) {
        const auto name = [&](const char* kernel) {
          return fmt::format("{}_{}_{}_{}x{}x{}x{}_{}", kernel,
                             layout == RopeLayout::kHalfSplit ? "halves" : "interleaved",
                             inverse ? "inverse" : "forward", z.batch, z.length, z.heads, z.depth,
                             z.rotated);
        };
        const RopeSpec spec{layout, inverse};
        const Shape shape{z.batch, z.length, z.heads, z.depth};
        const Spec table{{kPositions, z.rotated / 2}, Role::kIn, Kind::kFloat};
        const Spec positions{
            .shape = {z.batch, z.length}, .kind = Kind::kIndex, .fill = [](int64_t i, double) {
              return static_cast<double>(i * 7 % kPositions);
            }};
        all.push_back({name("rope"),
                       {{shape}, table, table, positions, {shape, Role::kOut}},
                       [spec](const Kernels& k, const Views& v) {
                         k.rope(v[0], v[1], v[2], v[3], v[4], spec);
                       }});
        all.push_back({name("in_place"),
                       {{shape, Role::kInOut}, table, table, positions},
                       [spec](const Kernels& k, const Views& v) {
                         k.rope(v[0], v[1], v[2], v[3], v[0], spec);
                       }});
      }
  return all;
}
LATHE_KERNEL_SUITE(RopeKernel, rope_cases());

}  // namespace
}  // namespace lathe::kernels::testing
