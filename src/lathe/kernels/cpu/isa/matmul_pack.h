// Packs the matrices of a dense product in the order in which its inner loop reads them, and as the
// operands that it multiplies (pair.h). Include inside the level.h frame.
//
// B becomes panels of kPanelColumns columns, each [K][kPanelColumns], columns beyond N zero. A
// block of A becomes rows when A is contiguous along K, and panels [K][kPanelRows] when it is
// contiguous along M; rows beyond M are zero. K and depths count operands; what the last pair lacks
// is zero.
#pragma once

#include "lathe/kernels/cpu/isa/blocks.h"
#include "lathe/kernels/cpu/isa/pair.h"
#include "lathe/kernels/cpu/isa/transpose.h"

constexpr int kPanelRows = kWidth == 16 ? 12 : 6;
constexpr int kPanelVectors = 2;
constexpr int64_t kPanelColumns = kPanelVectors * kWidth;
// A panel of B of this depth stays in the first-level cache while the rows of a block pass by.
constexpr int64_t kDepth = kWidth == 16 ? 128 : 256;
// A block of rows of A stays in the second-level cache; a whole number of panels.
constexpr int64_t kBlockRows = 96;
constexpr int64_t kRowStride = kDepth + 16;  // not a power of two: rows fall into different sets
static_assert(kBlockRows % kPanelRows == 0);

// Operands that are contiguous along K: kWidth of them in a register, and as many as `values`
// values make.
template <class E, class T>
LATHE_INLINE Vec load_along(const T* from) {
  if constexpr (std::is_same_v<E, float>) {
    return load(from);
  } else {
    Vec pairs;
    __builtin_memcpy(&pairs, from, sizeof(pairs));
    return pairs;
  }
}
template <class T>
LATHE_INLINE void convert_along(const T* from, int64_t values, float* to) {
  convert_run(from, to, values);
}
LATHE_INLINE void convert_along(const BF16* from, int64_t values, Pair* to) {
  to[(values - 1) / 2] = Pair{};
  std::memcpy(to, from, static_cast<size_t>(values) * sizeof(BF16));
}

// n operands at one place along K; `next` are the values that follow along K, nullptr beyond the
// last. They are contiguous, or `stride` apart.
template <class T>
LATHE_INLINE void convert_across(const T* from, const T* /*next*/, int64_t n, float* to) {
  convert_run(from, to, n);
}
LATHE_INLINE void convert_across(const BF16* from, const BF16* next, int64_t n, Pair* to) {
  stack_pairs(from, next, to, n);
}
template <class T, class E>
static void gather_across(const T* from, const T* next, int64_t stride, int64_t n, E* to) {
  for (int64_t i = 0; i < n; ++i)
    convert_across(from + i * stride, next != nullptr ? next + i * stride : nullptr, 1, to + i);
}

// Columns [first, first + kPanelColumns) of B, contiguous along N.
template <class T, class E>
static void pack_panel_rows(const TensorView& b, int64_t first, E* panel) {
  const int64_t columns = std::min(kPanelColumns, b.shape[1] - first);
  for (int64_t k = 0; k < b.shape[0]; k += kValues<E>, panel += kPanelColumns) {
    const T* row = b.as<T>() + k * b.stride[0] + first;
    const T* next = k + 1 < b.shape[0] ? row + b.stride[0] : nullptr;
    if (columns == kPanelColumns) {
      convert_across(row, next, kPanelColumns, panel);
    } else {
      convert_across(row, next, columns, panel);
      std::fill(panel + columns, panel + kPanelColumns, E{});
    }
  }
}

// The same of a B with any strides; fast when contiguous along K.
template <class T, class E>
static void pack_panel_columns(const TensorView& b, int64_t first, E* panel) {
  const int64_t columns = std::min(kPanelColumns, b.shape[1] - first);
  const int64_t whole = b.shape[0] / kValues<E>;  // complete operands
  const T* base = b.as<T>() + first * b.stride[1];
  int64_t k = 0;
  if (b.stride[0] == 1 && columns == kPanelColumns)
    for (; k + kWidth <= whole; k += kWidth)
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v) {
        Vec square[kWidth];
#pragma GCC unroll 16
        for (int i = 0; i < kWidth; ++i)
          square[i] = load_along<E>(base + (v * kWidth + i) * b.stride[1] + k * kValues<E>);
        transpose(square);
#pragma GCC unroll 16
        for (int i = 0; i < kWidth; ++i)
          std::memcpy(panel + (k + i) * kPanelColumns + v * kWidth, &square[i], sizeof(Vec));
      }
  for (; k < operand_length<E>(b.shape[0]); ++k) {
    const T* from = base + k * kValues<E> * b.stride[0];
    const T* next = k * kValues<E> + 1 < b.shape[0] ? from + b.stride[0] : nullptr;
    E* row = panel + k * kPanelColumns;
    gather_across(from, next, b.stride[1], columns, row);
    std::fill(row + columns, row + kPanelColumns, E{});
  }
}

template <class T, class E>
static void pack_panel(const TensorView& b, int64_t first, E* panel) {
  if (b.stride[1] == 1)
    pack_panel_rows<T>(b, first, panel);
  else
    pack_panel_columns<T>(b, first, panel);
}

// How the inner loop finds element (m, k) of a packed block of A.
struct RowsOfA {
  static constexpr int64_t kRow = kRowStride, kColumn = 1, kPanel = kPanelRows * kRowStride;
};
struct PanelsOfA {
  // Each panel is followed by room for the whole vector with which its last row is stored.
  static constexpr int64_t kRow = 1, kColumn = kPanelRows, kPanel = kPanelRows * kDepth + 16;
};
constexpr int64_t kPackedBlock =
    kBlockRows / kPanelRows * std::max(RowsOfA::kPanel, PanelsOfA::kPanel);

// `all` rows, those beyond `rows` zero.
template <class T, class E>
static void pack_rows(const TensorView& a, Range rows, Range depth, int64_t all, E* to) {
  const int64_t begin = depth.begin * kValues<E>;
  const int64_t values = std::min(depth.end * kValues<E>, a.shape[1]) - begin;
  for (int64_t m = 0; m < all; ++m, to += kRowStride) {
    if (m < rows.size())
      convert_along(a.as<T>() + (rows.begin + m) * a.stride[0] + begin, values, to);
    else
      std::fill(to, to + depth.size(), E{});
  }
}

template <class T, class E>
static void pack_panels(const TensorView& a, Range rows, Range depth, E* to) {
  // Vectors that cover a panel's rows and, in the last, some of the next row of the panel, which is
  // stored afterwards.
  constexpr int64_t kCover = padded(kPanelRows, kWidth);
  // K is the outer loop: what is contiguous is read once, a whole row at a time.
  for (int64_t k = depth.begin; k < depth.end; ++k, to += kPanelRows) {
    const T* from = a.as<T>() + rows.begin * a.stride[0] + k * kValues<E> * a.stride[1];
    const T* next = k * kValues<E> + 1 < a.shape[1] ? from + a.stride[1] : nullptr;
    const int64_t step = kPanelRows * a.stride[0];
    E* row = to;
    for (int64_t m = rows.begin; m < rows.end; m += kPanelRows, row += PanelsOfA::kPanel) {
      if (a.stride[0] == 1 && m + kCover <= a.shape[0]) {
        convert_across(from, next, kCover, row);
      } else {
        const int64_t count = std::min<int64_t>(kPanelRows, rows.end - m);
        gather_across(from, next, a.stride[0], count, row);
        std::fill(row + count, row + kPanelRows, E{});
      }
      from += step;
      if (next != nullptr) next += step;
    }
  }
}
