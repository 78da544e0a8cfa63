// Dense products accumulated in f32 registers, for f32 and bf16 matrices. bf16 is widened, or,
// where the processor has instructions for it, multiplied in pairs along K (pair.h). Depths are K
// in operands: floats or pairs.
//
// Many rows: B is packed once into panels (matmul_pack.h), then units of kBlockRows rows by
// kBlockColumns columns of C are computed independently, each packing its block of A as it goes, so
// that no copy of all of A exists (the scheme of Goto & van de Geijn 2008,
// doi:10.1145/1356052.1356053). A register tile of kPanelRows rows by kPanelVectors vectors is
// accumulated over a depth of kDepth at a time.
//
// Where packing all of B would go through memory for few rows (a vocabulary, the gradient of
// weights, whose K is all tokens): a unit is a larger block of C and packs its part of B itself,
// slice by slice, while the lines of the next slice are fetched ahead.
//
// Few rows (decoding) and some tens of them (decoding many sequences): see matmul_few.h and
// matmul_tens.h.
//
// Every element of C is summed over K from the first operand to the last in one register lane, then
// come the bias and what C held. So it has the same bits whatever the number of rows, the blocks
// and the threads (tests/kernels/row_invariance_test.cc).

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
#include "lathe/kernels/cpu/isa/matmul_tens.h"

namespace {

constexpr int64_t kBlockColumns = 512;
// Of products that are computed slice by slice, see in_slices().
constexpr int64_t kUnitRows = 6 * kBlockRows, kUnitColumns = kBlockColumns;
constexpr int64_t kTileSize = kPanelRows * kPanelColumns;
static_assert(kBlockColumns % kPanelColumns == 0);

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

// C (=|+=) sum + bias, rounded, where all columns count.
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
  if (!last) return;
  for (int64_t r = 0; r < at.rows; ++r)
    put_run<C>(p, at.m + r, {at.n, at.n + at.columns}, partial + r * kPanelColumns);
}

// Asks for part `part` of `parts` of the panel that comes next, so that it waits in the
// second-level cache when its turn comes.
template <class E>
LATHE_INLINE void fetch_ahead(const E* panel, int64_t depth, int64_t part, int64_t parts) {
  constexpr int64_t kLine = 64 / sizeof(E);
  const Range mine = part_of(depth * kPanelColumns / kLine, part, parts);
  for (int64_t line = mine.begin; line < mine.end; ++line)
    __builtin_prefetch(panel + line * kLine, 0, 2);
}

// A part of A or B that will be packed next, fetched into the second-level cache a few lines at a
// time while the present one is multiplied: where its lines are far apart no hardware does so.
class Ahead {
 public:
  Ahead() = default;
  // To be fetched in `calls` of fetch().
  template <class T>
  static Ahead of(const TensorView& part, int64_t calls) {
    const int along = part.stride[1] == 1 ? 1 : 0;
    constexpr auto kSize = static_cast<int64_t>(sizeof(T));
    Ahead ahead;
    ahead.run_ = reinterpret_cast<const std::byte*>(part.as<T>());
    ahead.stride_ = part.stride[1 - along] * kSize;
    ahead.lines_ = (part.shape[along] * kSize + kLine - 1) / kLine;
    ahead.left_ = part.shape[1 - along] * ahead.lines_;
    ahead.each_ = (ahead.left_ + calls - 1) / calls;
    return ahead;
  }
  // A call of it in the loop over tiles would undo what it brings (LOG.md).
  __attribute__((always_inline)) void fetch() {
    for (int64_t i = std::min(each_, left_); i > 0; --i, --left_) {
      __builtin_prefetch(run_ + line_ * kLine, 0, 2);
      if (++line_ < lines_) continue;
      line_ = 0;
      run_ += stride_;
    }
  }

 private:
  static constexpr int64_t kLine = 64;
  // A run is lines_ lines one behind the other; the next begins stride_ bytes on.
  const std::byte* run_ = nullptr;
  int64_t stride_ = 0, lines_ = 0, line_ = 0, left_ = 0, each_ = 0;
};

// Rows by a slice of K of A, and a slice of K by columns of B; empty beyond the end of K.
template <class A, class E>
TensorView part_of_a(const Product& p, Range rows, Range depth) {
  const int64_t first = depth.begin * kValues<E>;
  TensorView part = p.a;
  part.data = p.a.as<A>() + rows.begin * p.a.stride[0] + first * p.a.stride[1];
  part.shape[0] = rows.size();
  part.shape[1] = std::max<int64_t>(0, std::min(depth.end * kValues<E>, p.a.shape[1]) - first);
  return part;
}
template <class B, class E>
TensorView part_of_b(const Product& p, Range depth, Range columns) {
  const int64_t first = depth.begin * kValues<E>;
  TensorView part = p.b;
  part.data = p.b.as<B>() + first * p.b.stride[0] + columns.begin * p.b.stride[1];
  part.shape[0] = std::max<int64_t>(0, std::min(depth.end * kValues<E>, p.b.shape[0]) - first);
  part.shape[1] = columns.size();
  return part;
}

// Register tiles of a block of C.
int64_t tiles_of(Range rows, Range columns) {
  return (rows.size() + kPanelRows - 1) / kPanelRows *
         ((columns.size() + kPanelColumns - 1) / kPanelColumns);
}

// A slice of K of a block of rows by some columns. Returns where the next block's partial sums lie.
template <class Layout, class A, class C, class E>
float* compute_block(const Product& p, Range rows, Range columns, Range depth, const Panels<E>& b,
                     E* packed_a, float* partial, Ahead& next_a, Ahead& next_b) {
  if constexpr (std::is_same_v<Layout, RowsOfA>)
    pack_rows<A>(p.a, rows, depth, padded(rows.size(), kPanelRows), packed_a);
  else
    pack_panels<A>(p.a, rows, depth, packed_a);
  const int64_t tiles = (rows.size() + kPanelRows - 1) / kPanelRows;
  for (int64_t n = columns.begin; n < columns.end; n += kPanelColumns) {
    const E* panel = b.at(n, depth.begin);
    const bool last = n + kPanelColumns >= columns.end;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      if (!last) fetch_ahead(b.at(n + kPanelColumns, depth.begin), depth.size(), tile, tiles);
      next_a.fetch();
      next_b.fetch();
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
    Ahead none;
    for (int64_t k = 0; k < p.depth; k += kDepth) {
      const Range depth{k, std::min(k + kDepth, p.depth)};
      Ahead next = Ahead::of<A>(part_of_a<A, E>(p, rows, {depth.end, depth.end + kDepth}),
                                tiles_of(rows, columns));
      compute_block<Layout, A, C>(p, rows, columns, depth, b, as_operands<E>(packed_a),
                                  packed_a + kPackedBlock, next, none);
    }
  });
}

// How many units compute_slices() cuts rows and columns into, so that all threads are equally busy.
struct Units {
  int64_t rows, columns;
};
Units units_of(const Product& p) {
  const int64_t threads = thread_count(), panels = (p.n + kPanelColumns - 1) / kPanelColumns;
  Units u{(p.m + kUnitRows - 1) / kUnitRows, (p.n + kUnitColumns - 1) / kUnitColumns};
  const auto even = [&] {
    const int64_t all = u.rows * u.columns;
    return all >= 2 * threads && (all % threads == 0 || all >= 8 * threads);
  };
  while (u.columns < panels && !even()) ++u.columns;
  return u;
}

// Part i of `parts` of n rows or columns, of which panels stay whole.
Range panels_of(int64_t n, int64_t panel, int64_t i, int64_t parts) {
  const Range panels = part_of((n + panel - 1) / panel, i, parts);
  return {panels.begin * panel, std::min(panels.end * panel, n)};
}

// A slice of K of a unit: its panels of B are packed into `panels`, partial sums lie in `partial`.
template <class Layout, class A, class B, class C, class E>
void compute_slice(const Product& p, Range rows, Range columns, Range depth, E* packed_a, E* panels,
                   float* partial) {
  const TensorView b = part_of_b<B, E>(p, depth, columns);
  for (int64_t n = 0; n < columns.size(); n += kPanelColumns)
    pack_panel<B>(b, n, panels + n * depth.size());
  const Range next{depth.end, depth.end + kDepth};
  const int64_t tiles = tiles_of(rows, columns);
  Ahead next_a = Ahead::of<A>(part_of_a<A, E>(p, rows, next), tiles);
  Ahead next_b = Ahead::of<B>(part_of_b<B, E>(p, next, columns), tiles);
  for (int64_t m = rows.begin; m < rows.end; m += kBlockRows)
    partial = compute_block<Layout, A, C, E>(p, {m, std::min(m + kBlockRows, rows.end)}, columns,
                                             depth, {panels, columns.begin, depth}, packed_a,
                                             partial, next_a, next_b);
}

template <class Layout, class A, class B, class C>
void compute_slices(const Product& p) {
  using E = OperandOf<A, B>;
  const Units units = units_of(p);
  const int64_t height = panels_of(p.m, kPanelRows, 0, units.rows).size(),
                width =
                    padded(panels_of(p.n, kPanelColumns, 0, units.columns).size(), kPanelColumns);
  const Scratch scratch(kPackedBlock + (kDepth + padded(height, kPanelRows)) * width,
                        thread_count());
  parallel_dynamic(units.rows * units.columns, [&](int64_t unit, int thread) {
    const Range rows = panels_of(p.m, kPanelRows, unit % units.rows, units.rows);
    const Range columns = panels_of(p.n, kPanelColumns, unit / units.rows, units.columns);
    float* const packed_a = scratch.of_thread(thread);
    float* const panels = packed_a + kPackedBlock;
    for (int64_t k = 0; k < p.depth; k += kDepth)
      compute_slice<Layout, A, B, C>(p, rows, columns, {k, std::min(k + kDepth, p.depth)},
                                     as_operands<E>(packed_a), as_operands<E>(panels),
                                     panels + kDepth * width);
  });
}

// Few rows for a B that would be packed through memory. (LOG.md has the measurement.)
bool in_slices(const Product& p) {
  constexpr int64_t kFew = 3 * kBlockRows, kStillFew = 4 * kUnitRows, kLarge = 1 << 20;
  return p.m <= kFew || (p.m <= kStillFew && p.depth * p.n >= kLarge);
}

template <class A, class B, class C>
void multiply_packed(const Product& p) {
  const bool by_rows = p.a.stride[1] == 1;
  if (in_slices(p))
    by_rows ? compute_slices<RowsOfA, A, B, C>(p) : compute_slices<PanelsOfA, A, B, C>(p);
  else
    by_rows ? compute_many<RowsOfA, A, B, C>(p) : compute_many<PanelsOfA, A, B, C>(p);
}

template <class A, class B, class C>
void multiply_as(const TensorView& a, const TensorView& b, const TensorView& bias,
                 const TensorView& c, Write write) {
  const Scratch wide_bias(bias && bias.dtype != DType::kF32 ? c.shape[1] : 0, 1);
  const float* b32 = floats_of(bias, c.shape[1], wide_bias.of_thread(0));
  const Product p{a,
                  b,
                  c,
                  b32,
                  write == Write::kAccumulate,
                  c.shape[0],
                  c.shape[1],
                  operand_length<OperandOf<A, B>>(a.shape[1])};
  const bool weights_by_rows = a.stride[1] == 1 && b.stride[0] == 1;
  if (weights_by_rows && p.m <= kMostFew) return multiply_few<A, B, C>(p);
  if constexpr (std::is_same_v<OperandOf<A, B>, Pair>)
    if (weights_by_rows && p.m <= kMostTens) return multiply_tens<C>(p);
  multiply_packed<A, B, C>(p);
}

template <class A, class B>
void multiply_from(const TensorView& a, const TensorView& b, const TensorView& bias,
                   const TensorView& c, Write write) {
  if (c.dtype == DType::kBF16)
    multiply_as<A, B, BF16>(a, b, bias, c, write);
  else
    multiply_as<A, B, float>(a, b, bias, c, write);
}

}  // namespace

void matmul(const TensorView& a, const TensorView& b, const TensorView& bias, const TensorView& c,
            Write write) {
  if (a.dtype == DType::kBF16)
    multiply_from<BF16, BF16>(a, b, bias, c, write);
  else if (b.dtype == DType::kBF16)
    multiply_as<float, BF16, float>(a, b, bias, c, write);
  else
    multiply_from<float, float>(a, b, bias, c, write);
}

void row_matmul(const TensorView& a, const TensorView& b, const TensorView& bias,
                const TensorView& c, Write write) {
  matmul(a, b, bias, c, write);
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
