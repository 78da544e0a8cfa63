// Operands of a dense product brought into the order in which its inner loop reads them, in f32.
// Include inside the level.h frame.
//
// B becomes panels of kPanelColumns columns, each [K][kPanelColumns], columns beyond N zero. A block
// of A becomes f32 rows when A is contiguous along K, and panels [K][kPanelRows] when it is
// contiguous along M; rows beyond M are zero.
#pragma once

#include "lathe/kernels/cpu/isa/blocks.h"

#if defined(LATHE_ISA_avx512) || defined(LATHE_ISA_avx512_bf16)
constexpr int kPanelRows = 12;
#else
constexpr int kPanelRows = 6;
#endif
constexpr int kPanelVectors = 2;
constexpr int64_t kPanelColumns = kPanelVectors * kWidth;
// A panel of B of this depth stays in the first-level cache while the rows of a block pass by.
constexpr int64_t kDepth = 256;
// A block of rows of A stays in the second-level cache; a whole number of panels.
constexpr int64_t kBlockRows = 96;
constexpr int64_t kRowStride = kDepth + 16;  // not a power of two: rows fall into different sets
static_assert(kBlockRows % kPanelRows == 0);

// Transposes blocks of kHalf lanes between two vectors; log2(kWidth) rounds transpose a square.
template <int kHalf, size_t... L>
LATHE_INLINE void swap_blocks(Vec& a, Vec& b, std::index_sequence<L...>) {
  const Vec upper = __builtin_shufflevector(a, b, ((L & kHalf) ? kWidth + L - kHalf : L)...);
  b = __builtin_shufflevector(a, b, ((L & kHalf) ? kWidth + L : L + kHalf)...);
  a = upper;
}
template <int kHalf>
LATHE_INLINE void transpose_from(Vec (&v)[kWidth]) {
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i)
    if ((i & kHalf) == 0)
      swap_blocks<kHalf>(v[i], v[i + kHalf], std::make_index_sequence<kWidth>());
  if constexpr (kHalf > 1) transpose_from<kHalf / 2>(v);
}
LATHE_INLINE void transpose(Vec (&v)[kWidth]) { transpose_from<kWidth / 2>(v); }

// Columns [first, first + kPanelColumns) of B, contiguous along N.
template <class T>
static void pack_panel_rows(const TensorView& b, int64_t first, float* panel) {
  const int64_t columns = std::min(kPanelColumns, b.shape[1] - first);
  for (int64_t k = 0; k < b.shape[0]; ++k, panel += kPanelColumns) {
    const T* row = b.as<T>() + k * b.stride[0] + first;
    if (columns == kPanelColumns) {
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v) store(panel + v * kWidth, load(row + v * kWidth));
    } else {
      convert_run(row, panel, columns);
      std::fill(panel + columns, panel + kPanelColumns, 0.0f);
    }
  }
}

// The same of a B with any strides; fast when contiguous along K.
template <class T>
static void pack_panel_columns(const TensorView& b, int64_t first, float* panel) {
  const int64_t depth = b.shape[0], columns = std::min(kPanelColumns, b.shape[1] - first);
  const T* base = b.as<T>() + first * b.stride[1];
  int64_t k = 0;
  if (b.stride[0] == 1 && columns == kPanelColumns)
    for (; k + kWidth <= depth; k += kWidth)
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v) {
        Vec square[kWidth];
#pragma GCC unroll 16
        for (int i = 0; i < kWidth; ++i)
          square[i] = load(base + (v * kWidth + i) * b.stride[1] + k);
        transpose(square);
#pragma GCC unroll 16
        for (int i = 0; i < kWidth; ++i)
          store(panel + (k + i) * kPanelColumns + v * kWidth, square[i]);
      }
  for (; k < depth; ++k) {
    float* row = panel + k * kPanelColumns;
    for (int64_t n = 0; n < columns; ++n)
      row[n] = to_float(base[k * b.stride[0] + n * b.stride[1]]);
    std::fill(row + columns, row + kPanelColumns, 0.0f);
  }
}

template <class T>
static void pack_panel(const TensorView& b, int64_t first, float* panel) {
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
  // Behind each panel lies room for the whole vector that its last row is stored with.
  static constexpr int64_t kRow = 1, kColumn = kPanelRows, kPanel = kPanelRows * kDepth + 16;
};
constexpr int64_t kPackedBlock =
    kBlockRows / kPanelRows * std::max(RowsOfA::kPanel, PanelsOfA::kPanel);

template <class T>
static void pack_rows(const TensorView& a, Range rows, Range depth, float* to) {
  const int64_t all = padded(rows.size(), kPanelRows);
  for (int64_t m = 0; m < all; ++m, to += kRowStride) {
    if (m < rows.size())
      convert_run(a.as<T>() + (rows.begin + m) * a.stride[0] + depth.begin, to, depth.size());
    else
      std::fill(to, to + depth.size(), 0.0f);
  }
}

template <class T>
static void pack_panels(const TensorView& a, Range rows, Range depth, float* to) {
  // Vectors that cover a panel's rows and, in the last, some of the next row of the panel, which is
  // stored afterwards.
  constexpr int64_t kCover = padded(kPanelRows, kWidth);
  for (int64_t m = rows.begin; m < rows.end; m += kPanelRows, to += PanelsOfA::kPanel) {
    const int64_t count = std::min<int64_t>(kPanelRows, rows.end - m);
    const bool whole = a.stride[0] == 1 && m + kCover <= a.shape[0];
    for (int64_t k = 0; k < depth.size(); ++k) {
      const T* from = a.as<T>() + m * a.stride[0] + (depth.begin + k) * a.stride[1];
      float* row = to + k * kPanelRows;
      if (whole) {
#pragma GCC unroll 4
        for (int64_t i = 0; i < kCover; i += kWidth) store(row + i, load(from + i));
      } else {
        for (int64_t i = 0; i < kPanelRows; ++i)
          row[i] = i < count ? to_float(from[i * a.stride[0]]) : 0.0f;
      }
    }
  }
}
