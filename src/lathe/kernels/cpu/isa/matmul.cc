// Dense products accumulated in f32 registers, for f32 and bf16 matrices. bf16 is widened, or, where
// the processor has instructions for it, multiplied in pairs along K (pair.h). Depths are K in
// operands: floats or pairs.
//
// Many rows: B is packed once into panels (matmul_pack.h), then units of kBlockRows rows by
// kBlockColumns columns of C are computed independently, each packing its block of A as it goes, so
// that no copy of all of A exists (the scheme of Goto & van de Geijn 2008,
// doi:10.1145/1356052.1356053). A register tile of kPanelRows rows by kPanelVectors vectors is
// accumulated over a depth of kDepth at a time.
//
// Up to kRowsAtOnce rows: a unit is all rows by some columns and packs its part of B itself, slice
// by slice, so that a wide B (a vocabulary) goes through the cache once and is never packed whole.
//
// Few rows (decoding): see matvec.h.
//
// Every element of C is summed over K in one order that depends on the shape alone, whoever computes
// it.

#include "lathe/kernels/cpu/matmul.h"

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
#include "lathe/kernels/cpu/isa/matmul_pack.h"
#include "lathe/kernels/cpu/isa/matvec.h"

namespace {

constexpr int64_t kBlockColumns = 512;
constexpr int64_t kRowsAtOnce = 3 * kBlockRows;
constexpr int64_t kTileSize = kPanelRows * kPanelColumns;
static_assert(kBlockColumns % kPanelColumns == 0);

struct Product {
  TensorView a, b, c;
  const float* bias;  // f32 [N], or nullptr
  bool accumulate;
  int64_t m, n, depth;
};

// Panels of B, one behind the other: from column `first` on, and of K what lies in `depth`.
template <class E>
struct Panels {
  const E* data;
  int64_t first;
  Range depth;

  // The slice from `k` on of the panel of columns [n, n + kPanelColumns).
  const E* at(int64_t n, int64_t k) const {
    return data + (n - first) * depth.size() + (k - depth.begin) * kPanelColumns;
  }
};

// What A and B are multiplied as: bf16 beside f32 is widened.
template <class A, class B>
using OperandOf = std::conditional_t<std::is_same_v<A, B>, Operand<A>, float>;

using Tile = Vec[kPanelRows][kPanelVectors];

// sum += A·B over `depth` operands.
template <class Layout, class E>
LATHE_INLINE void multiply(const E* a, const E* b, int64_t depth, Tile& sum) {
  for (int64_t k = 0; k < depth; ++k, a += Layout::kColumn, b += kPanelColumns) {
    decltype(load(b)) row[kPanelVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) row[v] = load(b + v * kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < kPanelRows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v)
        sum[r][v] = add_product(sum[r][v], a[r * Layout::kRow], row[v]);
  }
}

// Where a register tile lies in C; at the right and lower edge fewer rows and columns count.
struct Place {
  int64_t m, n, rows, columns;
};

// C (=|+=) sum + bias, rounded, at the right edge, where not all columns count.
template <class T>
void finish_edge(const Product& p, const Place& at, const float* sum) {
  for (int64_t r = 0; r < at.rows; ++r, sum += kPanelColumns) {
    T* c = p.c.as<T>() + (at.m + r) * p.c.stride[0] + at.n;
    for (int64_t i = 0; i < at.columns; ++i) {
      const float start =
          (p.bias ? p.bias[at.n + i] : 0.0f) + (p.accumulate ? to_float(c[i]) : 0.0f);
      put(c[i], sum[i] + start);
    }
  }
}

// The same elsewhere.
template <class T>
LATHE_INLINE void finish(const Product& p, const Place& at, const Tile& sum) {
#pragma GCC unroll 16
  for (int r = 0; r < kPanelRows; ++r) {
    if (r >= at.rows) break;
    T* c = p.c.as<T>() + (at.m + r) * p.c.stride[0] + at.n;
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) {
      Vec value = sum[r][v];
      if (p.bias) value += load(p.bias + at.n + v * kWidth);
      if (p.accumulate) value += load(c + v * kWidth);
      store(c + v * kWidth, value);
    }
  }
}

// One slice of K of one register tile: begun at zero or with what `partial` holds, and finished or
// left there.
template <class Layout, class C, class E>
void register_block(const Product& p, const Place& at, const E* a, const E* b, Range depth,
                    float* partial) {
  Tile sum;
  const bool first = depth.begin == 0;
#pragma GCC unroll 16
  for (int r = 0; r < kPanelRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v)
      sum[r][v] = first ? Vec{} : load(partial + (r * kPanelVectors + v) * kWidth);
  multiply<Layout>(a, b, depth.size(), sum);
  const bool last = depth.end == p.depth;
  if (last && at.columns == kPanelColumns) return finish<C>(p, at, sum);
#pragma GCC unroll 16
  for (int r = 0; r < kPanelRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v)
      store(partial + (r * kPanelVectors + v) * kWidth, sum[r][v]);
  if (last) finish_edge<C>(p, at, partial);
}

// Asks for part `part` of `parts` of the panel that comes next, so that it waits in the second-level
// cache when its turn comes.
template <class E>
LATHE_INLINE void fetch_ahead(const E* panel, int64_t depth, int64_t part, int64_t parts) {
  constexpr int64_t kLine = 64 / sizeof(E);
  const Range mine = part_of(depth * kPanelColumns / kLine, part, parts);
  for (int64_t line = mine.begin; line < mine.end; ++line)
    __builtin_prefetch(panel + line * kLine, 0, 2);
}

// A slice of K of a block of rows by some columns. Returns where the next block's partial sums lie.
template <class Layout, class A, class C, class E>
float* compute_block(const Product& p, Range rows, Range columns, Range depth, const Panels<E>& b,
                     E* packed_a, float* partial) {
  if constexpr (std::is_same_v<Layout, RowsOfA>)
    pack_rows<A>(p.a, rows, depth, packed_a);
  else
    pack_panels<A>(p.a, rows, depth, packed_a);
  const int64_t tiles = (rows.size() + kPanelRows - 1) / kPanelRows;
  for (int64_t n = columns.begin; n < columns.end; n += kPanelColumns) {
    const E* panel = b.at(n, depth.begin);
    const bool last = n + kPanelColumns >= columns.end;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      if (!last) fetch_ahead(b.at(n + kPanelColumns, depth.begin), depth.size(), tile, tiles);
      const int64_t m = rows.begin + tile * kPanelRows;
      const Place at{m, n, std::min<int64_t>(kPanelRows, rows.end - m),
                     std::min(kPanelColumns, columns.end - n)};
      register_block<Layout, C>(p, at, packed_a + tile * Layout::kPanel, panel, depth, partial);
      partial += kTileSize;
    }
  }
  return partial;
}

// Many rows: B is packed once for all.
template <class Layout, class A, class B, class C>
void compute_many(const Product& p) {
  using E = OperandOf<A, B>;
  const int64_t panels = (p.n + kPanelColumns - 1) / kPanelColumns;
  const Scratch packed(panels * kPanelColumns * p.depth, 1);
  E* panel = as_operands<E>(packed.of_thread(0));
  parallel_for(panels, row_grain(kPanelColumns * p.depth, kGrain), [&](int64_t i) {
    pack_panel<B>(p.b, i * kPanelColumns, panel + i * kPanelColumns * p.depth);
  });
  const Panels<E> b{panel, 0, {0, p.depth}};
  // Fewer rows a unit when there would be too few units for the threads.
  const int64_t column_blocks = (p.n + kBlockColumns - 1) / kBlockColumns;
  const int64_t wanted = (2 * thread_count() + column_blocks - 1) / column_blocks;
  const int64_t block_rows =
      std::clamp(padded((p.m + wanted - 1) / wanted, kPanelRows), int64_t{kPanelRows}, kBlockRows);
  const int64_t row_blocks = (p.m + block_rows - 1) / block_rows;
  const Scratch scratch(kPackedBlock + kBlockRows * kBlockColumns, thread_count());
  parallel_dynamic(row_blocks * column_blocks, [&](int64_t unit, int thread) {
    const int64_t m = unit % row_blocks * block_rows, n = unit / row_blocks * kBlockColumns;
    const Range rows{m, std::min(m + block_rows, p.m)};
    const Range columns{n, std::min(n + kBlockColumns, p.n)};
    float* const packed_a = scratch.of_thread(thread);
    for (int64_t k = 0; k < p.depth; k += kDepth)
      compute_block<Layout, A, C>(p, rows, columns, {k, std::min(k + kDepth, p.depth)}, b,
                                  as_operands<E>(packed_a), packed_a + kPackedBlock);
  });
}

// What B holds of the depth.
template <class B, class E>
TensorView slice_of(const TensorView& b, Range depth) {
  const int64_t first = depth.begin * kValues<E>;
  TensorView slice = b;
  slice.data = b.as<B>() + first * b.stride[0];
  slice.shape[0] = std::min(depth.end * kValues<E>, b.shape[0]) - first;
  return slice;
}

// Up to kRowsAtOnce rows: a unit takes all of them, and packs the slices of B that it multiplies.
template <class Layout, class A, class B, class C>
void compute_at_once(const Product& p) {
  using E = OperandOf<A, B>;
  const int64_t share = (p.n + 2 * thread_count() - 1) / (2 * thread_count());
  const int64_t width = std::clamp(padded(share, kPanelColumns), kPanelColumns, kBlockColumns);
  const int64_t rows = padded(p.m, kPanelRows);
  const Scratch scratch(kPackedBlock + (kDepth + rows) * width, thread_count());
  parallel_dynamic((p.n + width - 1) / width, [&](int64_t unit, int thread) {
    const Range columns{unit * width, std::min((unit + 1) * width, p.n)};
    E* const packed_a = as_operands<E>(scratch.of_thread(thread));
    E* const panels = packed_a + kPackedBlock;
    for (int64_t k = 0; k < p.depth; k += kDepth) {
      const Range depth{k, std::min(k + kDepth, p.depth)};
      const TensorView slice = slice_of<B, E>(p.b, depth);
      for (int64_t n = columns.begin; n < columns.end; n += kPanelColumns)
        pack_panel<B>(slice, n, panels + (n - columns.begin) * depth.size());
      float* partial = scratch.of_thread(thread) + kPackedBlock + kDepth * width;
      for (int64_t m = 0; m < p.m; m += kBlockRows)
        partial =
            compute_block<Layout, A, C, E>(p, {m, std::min(m + kBlockRows, p.m)}, columns, depth,
                                           {panels, columns.begin, depth}, packed_a, partial);
    }
  });
}

template <class A, class B, class C>
void multiply_packed(const Product& p) {
  const bool by_rows = p.a.stride[1] == 1;
  if (p.m <= kRowsAtOnce)
    by_rows ? compute_at_once<RowsOfA, A, B, C>(p) : compute_at_once<PanelsOfA, A, B, C>(p);
  else
    by_rows ? compute_many<RowsOfA, A, B, C>(p) : compute_many<PanelsOfA, A, B, C>(p);
}

template <class A, class B, class C>
void multiply_as(const TensorView& a, const TensorView& b, const TensorView& bias,
                 const TensorView& c, Write write) {
  const Scratch wide_bias(bias && bias.dtype != DType::kF32 ? c.shape[1] : 0, 1);
  const float* b32 = floats_of(bias, c.shape[1], wide_bias.of_thread(0));
  if (cpu::few_rows(a, b))
    matvec<A, B, C>(a, b, b32, c, write);
  else
    multiply_packed<A, B, C>({a, b, c, b32, write == Write::kAccumulate, c.shape[0], c.shape[1],
                              operand_length<OperandOf<A, B>>(a.shape[1])});
}

template <class A, class B>
void multiply_from(const TensorView& a, const TensorView& b, const TensorView& bias,
                   const TensorView& c, Write write) {
  if (c.dtype == DType::kBF16)
    multiply_as<A, B, BF16>(a, b, bias, c, write);
  else
    multiply_as<A, B, float>(a, b, bias, c, write);
}

void matmul(const TensorView& a, const TensorView& b, const TensorView& bias, const TensorView& c,
            Write write) {
  if (a.dtype == DType::kBF16)
    multiply_from<BF16, BF16>(a, b, bias, c, write);
  else if (b.dtype == DType::kBF16)
    multiply_as<float, BF16, float>(a, b, bias, c, write);
  else
    multiply_from<float, float>(a, b, bias, c, write);
}

}  // namespace

void fill_matmul(Kernels& table) { table.matmul = matmul; }

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
