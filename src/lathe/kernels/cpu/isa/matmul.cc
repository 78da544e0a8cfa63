// Dense products in f32 registers, for f32 and bf16 operands.
//
// Many rows: B is packed once into panels (matmul_pack.h), then units of kBlockRows rows by
// kBlockColumns columns of C are computed independently, each widening its block of A as it goes,
// so bf16 operands cost one conversion and no copy of the whole matrix (the scheme of Goto & van de
// Geijn 2008, doi:10.1145/1356052.1356053). A register tile of kPanelRows rows by kPanelVectors
// vectors is accumulated over kDepth elements of K at a time.
//
// Few rows (decoding): see matvec.h.
//
// Every element of C is summed over K in one order that depends on the shape alone, whoever computes
// it.

#include "lathe/kernels/cpu/matmul.h"

#include <algorithm>
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
constexpr int64_t kTileSize = kPanelRows * kPanelColumns;
static_assert(kBlockColumns % kPanelColumns == 0);

// One call: where results go, and B as it was packed.
struct Product {
  TensorView a, c;
  const float* bias;  // f32 [N], or nullptr
  bool accumulate;
  const float* packed_b;
  int64_t m, n, k;

  const float* panel(int64_t column, int64_t depth) const {
    return packed_b + (column * k + depth * kPanelColumns);
  }
};

using Tile = Vec[kPanelRows][kPanelVectors];

// sum += A·B over `depth` elements of K.
template <class Layout>
LATHE_INLINE void multiply(const float* a, const float* b, int64_t depth, Tile& sum) {
  for (int64_t k = 0; k < depth; ++k, a += Layout::kColumn, b += kPanelColumns) {
    Vec row[kPanelVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) row[v] = load(b + v * kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < kPanelRows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v) sum[r][v] += a[r * Layout::kRow] * row[v];
  }
}

// Where a register tile lies in C; at the right and lower edge fewer rows and columns count.
struct Place {
  int64_t m, n, rows, columns;
};

template <class T>
LATHE_INLINE void finish_edge(const Product& p, const Place& at, const Tile& sum) {
  float row[kPanelColumns];
  for (int64_t r = 0; r < at.rows; ++r) {
    T* c = p.c.as<T>() + (at.m + r) * p.c.stride[0] + at.n;
    for (int v = 0; v < kPanelVectors; ++v) store(row + v * kWidth, sum[r][v]);
    for (int64_t i = 0; i < at.columns; ++i) {
      const float start =
          (p.bias ? p.bias[at.n + i] : 0.0f) + (p.accumulate ? to_float(c[i]) : 0.0f);
      put(c[i], row[i] + start);
    }
  }
}

// C (=|+=) sum + bias, rounded.
template <class T>
LATHE_INLINE void finish(const Product& p, const Place& at, Tile& sum) {
  if (at.columns < kPanelColumns) return finish_edge<T>(p, at, sum);
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
template <class Layout, class C>
void register_block(const Product& p, const Place& at, const float* a, Range depth,
                    float* partial) {
  Tile sum;
  const bool first = depth.begin == 0;
#pragma GCC unroll 16
  for (int r = 0; r < kPanelRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v)
      sum[r][v] = first ? Vec{} : load(partial + (r * kPanelVectors + v) * kWidth);
  multiply<Layout>(a, p.panel(at.n, depth.begin), depth.size(), sum);
  if (depth.end == p.k) return finish<C>(p, at, sum);
#pragma GCC unroll 16
  for (int r = 0; r < kPanelRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v)
      store(partial + (r * kPanelVectors + v) * kWidth, sum[r][v]);
}

// Buffers of one thread: a packed block of A and the partial sums of a unit.
struct UnitBuffers {
  float *a, *partial;
};
constexpr int64_t kPartialSums = kBlockRows * kBlockColumns;

// Asks for part `part` of `parts` of the panel that comes next, so that it waits in the second-level
// cache when its turn comes.
LATHE_INLINE void fetch_ahead(const float* panel, int64_t depth, int64_t part, int64_t parts) {
  constexpr int64_t kLine = 16;  // floats
  const Range mine = part_of(depth * kPanelColumns / kLine, part, parts);
  for (int64_t line = mine.begin; line < mine.end; ++line)
    __builtin_prefetch(panel + line * kLine, 0, 2);
}

template <class Layout, class A, class C>
void compute_unit(const Product& p, Range rows, Range columns, const UnitBuffers& w) {
  const int64_t tiles = (rows.size() + kPanelRows - 1) / kPanelRows;
  for (int64_t k = 0; k < p.k; k += kDepth) {
    const Range depth{k, std::min(k + kDepth, p.k)};
    if constexpr (std::is_same_v<Layout, RowsOfA>)
      pack_rows<A>(p.a, rows, depth, w.a);
    else
      pack_panels<A>(p.a, rows, depth, w.a);
    float* partial = w.partial;
    for (int64_t n = columns.begin; n < columns.end; n += kPanelColumns) {
      const bool last = n + kPanelColumns >= columns.end;
      for (int64_t tile = 0; tile < tiles; ++tile) {
        if (!last) fetch_ahead(p.panel(n + kPanelColumns, k), depth.size(), tile, tiles);
        const int64_t m = rows.begin + tile * kPanelRows;
        const Place at{m, n, std::min<int64_t>(kPanelRows, rows.end - m),
                       std::min(kPanelColumns, columns.end - n)};
        register_block<Layout, C>(p, at, w.a + tile * Layout::kPanel, depth, partial);
        partial += kTileSize;
      }
    }
  }
}

template <class Layout, class A, class C>
void compute(const Product& p) {
  // Fewer rows a unit when there would be too few units for the threads.
  const int64_t column_blocks = (p.n + kBlockColumns - 1) / kBlockColumns;
  const int64_t wanted = (2 * thread_count() + column_blocks - 1) / column_blocks;
  const int64_t block_rows = std::clamp(rounded_up((p.m + wanted - 1) / wanted, kPanelRows),
                                        int64_t{kPanelRows}, kBlockRows);
  const int64_t row_blocks = (p.m + block_rows - 1) / block_rows;
  const Scratch scratch(kPackedBlock + kPartialSums, thread_count());
  parallel_dynamic(row_blocks * column_blocks, [&](int64_t unit, int thread) {
    const int64_t m = unit % row_blocks * block_rows, n = unit / row_blocks * kBlockColumns;
    float* mine = scratch.of_thread(thread);
    compute_unit<Layout, A, C>(p, {m, std::min(m + block_rows, p.m)},
                               {n, std::min(n + kBlockColumns, p.n)}, {mine, mine + kPackedBlock});
  });
}

template <class A, class B, class C>
void multiply_packed(const TensorView& a, const TensorView& b, const float* bias,
                     const TensorView& c, Write write) {
  const int64_t m = c.shape[0], n = c.shape[1], k = a.shape[1];
  const int64_t panels = (n + kPanelColumns - 1) / kPanelColumns;
  const Scratch packed(panels * kPanelColumns * k, 1);
  float* panel = packed.of_thread(0);
  parallel_for(panels, row_grain(kPanelColumns * k, kGrain), [&](int64_t i) {
    pack_panel<B>(b, i * kPanelColumns, panel + i * kPanelColumns * k);
  });
  const Product p{a, c, bias, write == Write::kAccumulate, panel, m, n, k};
  if (a.stride[1] == 1)
    compute<RowsOfA, A, C>(p);
  else
    compute<PanelsOfA, A, C>(p);
}

template <class A, class B, class C>
void multiply_as(const TensorView& a, const TensorView& b, const TensorView& bias,
                 const TensorView& c, Write write) {
  const Scratch wide_bias(bias && bias.dtype != DType::kF32 ? c.shape[1] : 0, 1);
  const float* b32 = floats_of(bias, c.shape[1], wide_bias.of_thread(0));
  if (cpu::few_rows(a, b))
    matvec<A, B, C>(a, b, b32, c, write);
  else
    multiply_packed<A, B, C>(a, b, b32, c, write);
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
