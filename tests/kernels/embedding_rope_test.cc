#include "kernels/every_table.h"
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
    int64_t tokens, heads, depth, rotated;
  };
  std::vector<Case> all;
  for (const Sizes z : {Sizes{1, 1, 2, 2},
                        {10, 3, 8, 8},
                        {6, 2, 10, 6},
                        {0, 2, 4, 4},
                        {66, 4, 66, 64},
                        {1, 32, 128, 128},
                        {2, 1, 6, 0}})
    for (RopeLayout layout : {RopeLayout::kHalfSplit, RopeLayout::kInterleaved})
      for (bool inverse : {false, true}) {
        const auto name = [&](const char* kernel) {
          return fmt::format("{}_{}_{}_{}x{}x{}_{}", kernel,
                             layout == RopeLayout::kHalfSplit ? "halves" : "interleaved",
                             inverse ? "inverse" : "forward", z.tokens, z.heads, z.depth,
                             z.rotated);
        };
        const RopeSpec spec{layout, inverse};
        const Shape shape{z.tokens, z.heads, z.depth};
        const Spec table{{kPositions, z.rotated / 2}, Role::kIn, Kind::kFloat};
        const Spec positions{
            .shape = {z.tokens}, .kind = Kind::kIndex, .fill = [](int64_t i, double) {
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

// The tokens of several sequences, each from a position of its own on.
TEST(RopeSequences, EqualOneCallForEach) {
  struct Sequence {
    int64_t tokens, context;
  };
  const std::vector<Sequence> sequences = {{7, 0}, {1, 30}, {0, 0}, {33, 5}, {1, 0}};
  std::vector<int32_t> ids;
  for (const Sequence& s : sequences)
    for (int64_t t = 0; t < s.tokens; ++t) ids.push_back(static_cast<int32_t>(s.context + t));
  const auto count = static_cast<int64_t>(ids.size());
  const Tensor positions = Tensor::of<int32_t>(ids, {count});
  on_every_table([&](const Kernels& kernels, DType dtype) {
    const Tensor x = random_tensor({count, 3, 20}, "x", dtype), out = spoiled(x.shape(), dtype),
                 cos = random_tensor({kPositions, 8}, "cos", wide(dtype)),
                 sin = random_tensor({kPositions, 8}, "sin", wide(dtype));
    for (RopeLayout layout : {RopeLayout::kHalfSplit, RopeLayout::kInterleaved}) {
      kernels.rope(x, cos, sin, positions, out, {layout, false});
      int64_t first = 0;
      for (const Sequence& s : sequences) {
        const Tensor alone = spoiled({s.tokens, 3, 20}, dtype);
        kernels.rope(x.narrow(0, first, s.tokens), cos, sin, positions.narrow(0, first, s.tokens),
                     alone, {layout, false});
        EXPECT_EQ(part(out, 0, first, s.tokens), alone.to_vector());
        first += s.tokens;
      }
    }
  });
}

}  // namespace
}  // namespace lathe::kernels::testing
