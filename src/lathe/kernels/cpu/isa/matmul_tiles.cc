// Products with weights in bf16, both operands contiguous along K, y[M,N] (=|+=) x[M,K] · w[N,K]ᵀ + bias, in matrix tiles
// (matrix_tiles.h). All others are those of avx512_bf16.
//
// x is bf16, or f32 in three pieces of bf16 whose sum it is: 24 bits of a significand are three times 8 (Henry, Tang &
// Heinecke 2019, arXiv:1904.06376). What a piece times a weight is, f32 holds exactly, so that the product is as accurate
// as one of floats; only what is smaller than 2⁻¹²⁶ is zero to the instruction. It is the sum of three products, which
// are one where all pieces fit into one tile: so decoding takes no longer than in bf16.
//
// One operand, the left, is read in place: 16 of its rows by 32 values are a tile. The other, the right, whose tiles need
// pairs of values of 16 rows side by side, is packed once. The right one is the smaller, so that the
// least is packed; if that is x, tiles of y are transposed at the end. So decoding reads weights once
// and in place, and a vocabulary is never packed.
//
// Whichever is left, each element is summed over K in the same order, 32 values at a time, the last ones beside zeros;
// then come the other pieces, the bias and what y held. So it has the same bits whatever the number of rows, the blocks and the threads
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

// A matrix that is contiguous along K, or the pieces of one, `count` rows each.
struct Rows {
  const BF16* data;
  int64_t count, stride, values, pieces = 1;

  Rows piece(int64_t i) const { return {data + i * count * stride, count, stride, values}; }
};

Rows rows_of(const TensorView& x, int k) {
  return {x.as<BF16>(), x.shape[1 - k], x.stride[1 - k], x.shape[k]};
}

constexpr int64_t kPieces = 3;  // of a float

// The smallest piece goes to `to`, the others `apart` from it and each other. The largest is the upper half of the word,
// the next that of what remains, and the last what remains then.
LATHE_INLINE void put_pieces(Vec rest, int64_t apart, BF16* to) {
#pragma GCC unroll 3
  for (int64_t i = kPieces - 1; i >= 0; --i) {
    const Vec upper = (Vec)((Words)rest & 0xFFFF0000u);
    const Halves halves = __builtin_convertvector((Words)upper >> 16, Halves);
    __builtin_memcpy(to + i * apart, &halves, sizeof(halves));
    rest = rest == upper ? Vec{} : rest - upper;  // nothing remains of an infinity
  }
}

// x [M,K] of f32 in pieces.
class Pieces {
 public:
  explicit Pieces(const TensorView& x)
      : stride_(padded(x.shape[1], kStep)), memory_(kPieces * x.shape[0] * stride_ / 2, 1) {
    const int64_t depth = x.shape[1], apart = x.shape[0] * stride_;
    rows_ = {words(), x.shape[0], stride_, depth, kPieces};
    parallel_for(x.shape[0], row_grain(depth, kGrain), [&](int64_t r) {
      const float* from = x.as<float>() + r * x.stride[0];
      BF16* to = words() + r * stride_;
      int64_t i = 0;
      for (; i + kWidth <= depth; i += kWidth) put_pieces(load(from + i), apart, to + i);
      if (i == depth) return;
      float last[kWidth] = {};
      std::copy_n(from + i, depth - i, last);
      put_pieces(load(last), apart, to + i);
    });
  }
  const Rows& rows() const { return rows_; }

 private:
  BF16* words() const { return static_cast<BF16*>(static_cast<void*>(memory_.of_thread(0))); }

  int64_t stride_;
  Scratch memory_;
  Rows rows_;
};

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

// The right operand, packed: panels of two tiles, or of one if it has no more rows; of the same rows of all pieces, one
// behind the other.
class Right {
 public:
  explicit Right(const Rows& x)
      : pieces_(x.pieces),
        steps_((x.values + kStep - 1) / kStep),
        tiles_(x.count <= kTile ? 1 : 2),
        panels_((x.count + kBlock - 1) / kBlock),
        packed_(panels_ * pieces_ * panel_words(), 1) {
    parallel_for(panels_ * pieces_ * tiles_, row_grain(kTile * x.values, kGrain), [&](int64_t i) {
      const int64_t panel = i / tiles_, tile = i % tiles_;
      pack_tiles(x.piece(panel % pieces_), panel / pieces_ * kBlock + tile * kTile, steps_,
                 tiles_ * kSquare, words() + panel * panel_words() + tile * kSquare);
    });
  }
  int64_t pieces() const { return pieces_; }
  int64_t steps() const { return steps_; }
  int64_t tiles() const { return tiles_; }
  int64_t panels() const { return panels_; }
  int64_t panel_words() const { return steps_ * tiles_ * kSquare; }
  const Pair* panel(int64_t i, int64_t piece) const {
    return words() + (i * pieces_ + piece % pieces_) * panel_words();
  }

 private:
  Pair* words() const { return as_operands<Pair>(packed_.of_thread(0)); }

  int64_t pieces_, steps_, tiles_, panels_;
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

void multiply_block(const LeftBlock& left, bool fetch, const Pair* right, int64_t tiles,
                    float* sums) {
  const auto multiply = tiles == 1 ? fetch ? multiply_block<1, true> : multiply_block<1, false>
                        : fetch ? multiply_block<2, true>
                                   : multiply_block<2, false>;
  multiply(left, right, sums);
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

// sums[i] += those of the following pieces, which lie `apart`.
void add_pieces(float* sums, int64_t count, int64_t pieces, int64_t apart) {
  for (int64_t i = 0; i < count; i += kWidth) {
    Vec sum = load(sums + i);
    for (int64_t piece = 1; piece < pieces; ++piece) sum += load(sums + piece * apart + i);
    store(sums + i, sum);
  }
}

// How a product becomes rows of y.
struct Result {
  bool across;      // the left operand is w
  int64_t stacked;  // pieces of x that were multiplied as if they were more rows
};

// A block of y from its sums, whose rows are those of x or, if `across`, those of w.
template <class C>
void put_block(const Product& p, int64_t m, int64_t n, const Result& result, float* sums) {
  float transposed[kBlock * kBlock];
  if (result.across) {
    transpose_block(sums, transposed);
    sums = transposed;
  }
  if (result.stacked > 1) add_pieces(sums, p.m * kBlock, result.stacked, p.m * kBlock);
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
    constexpr int64_t kCache = int64_t{1} << 18;  // words of panels
    constexpr int64_t kWorth = int64_t{1} << 16;  // values of the left operand, times panels
    const int64_t panels =
        std::clamp<int64_t>(kCache / (right.pieces() * right.panel_words()), 1, right.panels());
    Units u{std::max<int64_t>(1, kWorth / (kBlock * kStep * right.steps() * panels)), panels};
    const int64_t wanted = 4 * thread_count();
    if (u.blocks == 1 && blocks < wanted)
      u.panels = std::clamp<int64_t>(right.panels() * blocks / wanted, 1, panels);
    return u;
  }
};

template <class C>
void multiply(const Product& p, const Rows& left, const Right& right, const Result& result) {
  const int64_t pieces = std::max(left.pieces, right.pieces());
  const int64_t blocks = (left.count + kBlock - 1) / kBlock;
  const Units size = Units::of(blocks, right);
  const int64_t along = (blocks + size.blocks - 1) / size.blocks;
  const int64_t chunks = (right.panels() + size.panels - 1) / size.panels;
  constexpr int64_t kSums = kBlock * kBlock;
  const int64_t copy_words = kBlock * right.steps() * kTile;
  const Scratch scratch(pieces * kSums + left.pieces * copy_words, thread_count());
  parallel_dynamic(along * chunks, [&](int64_t unit, int thread) {
    const MatrixTiles in_use;
    float* const sums = scratch.of_thread(thread);
    float* const copies = sums + pieces * kSums;
    const Range mine{unit % along * size.blocks,
                     std::min((unit % along + 1) * size.blocks, blocks)};
    const int64_t first = unit / along * size.panels,
                  last = std::min(first + size.panels, right.panels());
    for (int64_t b = mine.begin; b < mine.end; ++b) {
      LeftBlock block[kPieces];
      for (int64_t i = 0; i < left.pieces; ++i)
        block[i] = left_block(left.piece(i), b * kBlock,
                              static_cast<BF16*>(static_cast<void*>(copies + i * copy_words)));
      for (int64_t i = first; i < last; ++i) {
        for (int64_t piece = 0; piece < pieces; ++piece)
          multiply_block(block[piece % left.pieces], i == first && piece == 0,
                         right.panel(i, piece), right.tiles(), sums + piece * kSums);
        if (pieces > 1) add_pieces(sums, kSums, pieces, kSums);
        const int64_t m = result.across ? i : b, n = result.across ? b : i;
        put_block<C>(p, m * kBlock, n * kBlock, result, sums);
      }
    }
  });
}

template <class C>
void multiply(const Product& p, Rows x, const Rows& w) {
  Result result{x.count <= w.count, 1};
  if (x.count * x.pieces <= kTile) {
    result.stacked = x.pieces;
    x = {x.data, x.count * x.pieces, x.stride, x.values};
  }
  multiply<C>(p, result.across ? w : x, Right(result.across ? x : w), result);
}

}  // namespace

void matmul(const TensorView& a, const TensorView& b, const TensorView& bias, const TensorView& c,
            Write write) {
  if (b.dtype != DType::kBF16 || a.stride[1] != 1 || b.stride[0] != 1)
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
  const Rows w = rows_of(b, 0);
  if (a.dtype == DType::kF32)
    multiply<float>(p, Pieces(a).rows(), w);
  else if (c.dtype == DType::kF32)
    multiply<float>(p, rows_of(a, 1), w);
  else
    multiply<BF16>(p, rows_of(a, 1), w);
}

void row_matmul(const TensorView& a, const TensorView& b, const TensorView& bias,
                const TensorView& c, Write write) {
  matmul(a, b, bias, c, write);
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
