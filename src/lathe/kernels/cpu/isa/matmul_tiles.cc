// Products of bf16 matrices, both contiguous along K, y[M,N] (=|+=) x[M,K] · w[N,K]ᵀ + bias, in matrix tiles
// (matrix_tiles.h). All others are those of avx512_bf16.
//
// One operand, the left, is read in place: 16 of its rows by 32 values are a tile. The other, the right, whose tiles need
// pairs of values of 16 rows side by side, is packed once. The right one is the smaller, so that the
// least is packed; if that is x, tiles of y are transposed at the end. So decoding reads weights once
// and in place, and a vocabulary is never packed.
//
// Whichever is left, each element is summed over K in the same order, 32 values at a time, the last ones beside zeros;
// then come the bias and what y held. So it has the same bits whatever the number of rows, the blocks and the threads
// (tests/kernels/row_invariance_test.cc).

#include <algorithm>
#include <cstring>
#include <utility>

#include "lathe/base/parallel.h"
#include "lathe/kernels/cpu/isa/isa.h"
#include "lathe/kernels/cpu/scratch.h"
#include "lathe/kernels/kernels.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/loops.h"
#include "lathe/kernels/cpu/isa/matmul_few.h"
#include "lathe/kernels/cpu/isa/matrix_tiles.h"

namespace {

#if defined(LATHE_ISA_amx_bf16)
namespace pairs = isa_avx512_bf16;
#else
namespace pairs = isa_emulated_bf16;
#endif

constexpr int64_t kStep = 2 * kTile;  // values along K of a tile
// Rows of the left operand, and of the right one, that are multiplied at once.
constexpr int64_t kBlock = 2 * kTile;
constexpr int64_t kSquare = kTile * kTile;  // words of a tile

// A matrix that is contiguous along K.
struct Rows {
  const BF16* data;
  int64_t count, stride, values;
};

Rows rows_of(const TensorView& x, int k) {
  return {x.as<BF16>(), x.shape[1 - k], x.stride[1 - k], x.shape[k]};
}

// `count` rows from `first` on and `values` values from `k` on as rows of `to`, beside zeros up to `rows` and `width`.
void copy_padded(const Rows& x, int64_t first, int64_t k, int64_t rows, int64_t width, BF16* to) {
  const int64_t count = std::min(rows, x.count - first), values = std::min(width, x.values - k);
  std::fill(to, to + rows * width, BF16{});
  for (int64_t r = 0; r < count; ++r)
    std::copy_n(x.data + (first + r) * x.stride + k, values, to + r * width);
}

// The tiles of 16 rows from `first` on: [steps][16 pairs][16 rows], `step_words` apart.
void pack_tiles(const Rows& x, int64_t first, int64_t steps, int64_t step_words, Pair* to) {
  BF16 copy[kTile * kStep];
  for (int64_t s = 0; s < steps; ++s, to += step_words) {
    const bool whole = first + kTile <= x.count && (s + 1) * kStep <= x.values;
    if (!whole) copy_padded(x, first, s * kStep, kTile, kStep, copy);
    const BF16* from = whole ? x.data + first * x.stride + s * kStep : copy;
    const int64_t stride = whole ? x.stride : kStep;
    Vec square[kTile];
#pragma GCC unroll 16
    for (int i = 0; i < kTile; ++i) __builtin_memcpy(&square[i], from + i * stride, sizeof(Vec));
    transpose(square);
#pragma GCC unroll 16
    for (int i = 0; i < kTile; ++i) __builtin_memcpy(to + i * kTile, &square[i], sizeof(Vec));
  }
}

// The right operand, packed: panels of two tiles, or of one if it has no more rows.
class Right {
 public:
  Right(const Rows& x)
      : steps_((x.values + kStep - 1) / kStep),
        tiles_(x.count <= kTile ? 1 : 2),
        panels_((x.count + kBlock - 1) / kBlock),
        packed_(panels_ * panel_words(), 1) {
    parallel_for(panels_ * tiles_, row_grain(kTile * x.values, kGrain), [&](int64_t i) {
      Pair* panel = words() + i / tiles_ * panel_words();
      pack_tiles(x, i / tiles_ * kBlock + i % tiles_ * kTile, steps_, tiles_ * kSquare,
                 panel + i % tiles_ * kSquare);
    });
  }
  int64_t steps() const { return steps_; }
  int64_t tiles() const { return tiles_; }
  int64_t panels() const { return panels_; }
  int64_t panel_words() const { return steps_ * tiles_ * kSquare; }
  const Pair* panel(int64_t i) const { return words() + i * panel_words(); }

 private:
  Pair* words() const { return as_operands<Pair>(packed_.of_thread(0)); }

  int64_t steps_, tiles_, panels_;
  Scratch packed_;
};

// kBlock rows of the left operand: those that are whole in place, and the last step along K, or all of them, in a copy.
struct LeftBlock {
  const BF16* rows;
  int64_t stride, steps;  // steps of `rows`; one more in `rest` if it is given
  const BF16* rest;
};

LeftBlock left_block(const Rows& x, int64_t first, BF16* copy) {
  const int64_t steps = (x.values + kStep - 1) / kStep;
  if (first + kBlock > x.count) {
    copy_padded(x, first, 0, kBlock, steps * kStep, copy);
    return {copy, steps * kStep, steps, nullptr};
  }
  const int64_t whole = x.values / kStep;
  if (whole < steps) copy_padded(x, first, whole * kStep, kBlock, kStep, copy);
  return {x.data + first * x.stride, x.stride, whole, whole < steps ? copy : nullptr};
}

// sums[kBlock][kBlock] = left · right. The first time that rows are read, what follows along K is asked for.
template <int kTiles, bool kFetch>
void multiply_block(const LeftBlock& left, const Pair* right, float* sums) {
  constexpr auto kSize = static_cast<int64_t>(sizeof(BF16));
  constexpr int64_t kAhead = kFetchAhead / kSize;
  const int64_t values = left.steps * kStep;
  settle_memory();
  zero_sums<2, kTiles>();
  for (int64_t k = 0; k < values; k += kStep, right += kTiles * kSquare) {
    if constexpr (kFetch) {
      const int64_t ahead =
          k + kAhead < values ? k + kAhead : k + kAhead - values + kBlock * left.stride;
      for (int64_t i = 0; i < kBlock; ++i)
        __builtin_prefetch(left.rows + i * left.stride + ahead, 0, 2);
    }
    add_step<2, kTiles>(left.rows + k, left.stride * kSize, right, kTile, kSquare);
  }
  if (left.rest != nullptr) add_step<2, kTiles>(left.rest, kStep * kSize, right, kTile, kSquare);
  store_sums<2, kTiles>(sums, kBlock);
  settle_memory();
}

template <int kTiles>
void multiply_block(const LeftBlock& left, bool fetch, const Pair* right, float* sums) {
  if (fetch)
    multiply_block<kTiles, true>(left, right, sums);
  else
    multiply_block<kTiles, false>(left, right, sums);
}

void transpose_block(const float* from, float* to) {
  for (int64_t r = 0; r < kBlock; r += kTile)
    for (int64_t c = 0; c < kBlock; c += kTile) {
      Vec square[kTile];
#pragma GCC unroll 16
      for (int i = 0; i < kTile; ++i) square[i] = load(from + (r + i) * kBlock + c);
      transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < kTile; ++i) store(to + (c + i) * kBlock + r, square[i]);
    }
}

// A block of y from its sums, whose rows are those of x or, if `across`, those of w.
template <class C>
void put_block(const Product& p, int64_t m, int64_t n, bool across, const float* sums) {
  float transposed[kBlock * kBlock];
  if (across) {
    transpose_block(sums, transposed);
    sums = transposed;
  }
  const Range columns{n, std::min(n + kBlock, p.n)};
  for (int64_t r = 0; r < std::min(kBlock, p.m - m); ++r)
    put_run<C>(p, m + r, columns, sums + r * kBlock);
}

// Which blocks of the left operand and panels of the right one a unit of work multiplies.
struct Units {
  int64_t blocks, panels;

  // As many panels as stay in the second-level cache, and blocks enough to be worth a thread; less where there would be
  // too few units for all threads.
  static Units of(int64_t blocks, const Right& right) {
    constexpr int64_t kCache = int64_t{1} << 18;  // words
    constexpr int64_t kWorth = int64_t{1} << 16;  // values of the left operand, times panels
    const int64_t panels = std::clamp<int64_t>(kCache / right.panel_words(), 1, right.panels());
    Units u{std::max<int64_t>(1, kWorth / (kBlock * kStep * right.steps() * panels)), panels};
    const int64_t wanted = 4 * thread_count();
    if (u.blocks == 1 && blocks < wanted)
      u.panels = std::clamp<int64_t>(right.panels() * blocks / wanted, 1, panels);
    return u;
  }
};

template <class C>
void multiply(const Product& p, const Rows& left, const Right& right, bool across) {
  const int64_t blocks = (left.count + kBlock - 1) / kBlock;
  const Units size = Units::of(blocks, right);
  const int64_t along = (blocks + size.blocks - 1) / size.blocks;
  const int64_t chunks = (right.panels() + size.panels - 1) / size.panels;
  const Scratch scratch(kBlock * kBlock + kBlock * right.steps() * kTile, thread_count());
  parallel_dynamic(along * chunks, [&](int64_t unit, int thread) {
    const MatrixTiles in_use;
    float* const sums = scratch.of_thread(thread);
    auto* const copy = static_cast<BF16*>(static_cast<void*>(sums + kBlock * kBlock));
    const Range mine{unit % along * size.blocks,
                     std::min((unit % along + 1) * size.blocks, blocks)};
    const int64_t first = unit / along * size.panels,
                  last = std::min(first + size.panels, right.panels());
    for (int64_t b = mine.begin; b < mine.end; ++b) {
      const LeftBlock block = left_block(left, b * kBlock, copy);
      for (int64_t i = first; i < last; ++i) {
        if (right.tiles() == 1)
          multiply_block<1>(block, i == first, right.panel(i), sums);
        else
          multiply_block<2>(block, i == first, right.panel(i), sums);
        put_block<C>(p, across ? i * kBlock : b * kBlock, across ? b * kBlock : i * kBlock, across,
                     sums);
      }
    }
  });
}

}  // namespace

void matmul(const TensorView& a, const TensorView& b, const TensorView& bias, const TensorView& c,
            Write write) {
  if (a.dtype != DType::kBF16 || b.dtype != DType::kBF16 || a.stride[1] != 1 || b.stride[0] != 1)
    return pairs::matmul(a, b, bias, c, write);
  const Scratch wide_bias(bias && bias.dtype != DType::kF32 ? c.shape[1] : 0, 1);
  const Product p{a,
                  b,
                  c,
                  floats_of(bias, c.shape[1], wide_bias.of_thread(0)),
                  write == Write::kAccumulate,
                  c.shape[0],
                  c.shape[1],
                  a.shape[1]};
  const Rows x = rows_of(a, 1), w = rows_of(b, 0);
  const bool across = x.count <= w.count;
  with_type(c.dtype, [&](auto type) {
    multiply<decltype(type)>(p, across ? w : x, Right(across ? x : w), across);
  });
}

void row_matmul(const TensorView& a, const TensorView& b, const TensorView& bias,
                const TensorView& c, Write write) {
  matmul(a, b, bias, c, write);
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
