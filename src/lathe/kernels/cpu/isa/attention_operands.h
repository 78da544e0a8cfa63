// Conversions of attention's rows and tiles of scores to operands of products (tile_product.h), and
// back. Include inside the level.h frame.
#pragma once

#include "lathe/kernels/cpu/isa/attention_tile.h"
#include "lathe/kernels/cpu/isa/tile_product.h"
#include "lathe/kernels/cpu/isa/transpose.h"

// Takes the buffer of an operand of n values (struct Buffers, attention_tile.h).
template <class E, class Take>
static E* take_operand(Take&& take, int64_t n) {
  return as_operands<E>(take(operand_length<E>(n)));
}

template <class T>
LATHE_INLINE const T* row_of(const TensorView& x, int64_t row, int64_t h) {
  return x.as<T>() + row * x.stride[0] + h * x.stride[1];
}
template <class T>
LATHE_INLINE T* mutable_row_of(const TensorView& x, int64_t row, int64_t h) {
  return x.as<T>() + row * x.stride[0] + h * x.stride[1];
}

LATHE_INLINE float widen(float x) { return x; }
LATHE_INLINE float widen(BF16 x) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16);
}
template <class T>
LATHE_INLINE T narrow_to(float x) {
  if constexpr (std::is_same_v<T, BF16>) {
    return to_bf16(x);
  } else {
    return x;
  }
}

// f(token, row) for `tokens` in order, block by block. One loop for all of them, so that the sums
// in f are compiled once and their bits do not depend on how keys are paged.
template <class F>
LATHE_INLINE void for_each_row(const RowIndex& at, Range tokens, F&& f) {
  for (int64_t t = tokens.begin; t < tokens.end;) {
    const int64_t end = std::min(tokens.end, (t / at.block_size + 1) * at.block_size);
    for (int64_t row = at(t); t < end; ++t, ++row) f(t, row);
  }
}

// The loaders convert `rows` of a sequence, which are at `at` in x, for head h to the form of an
// operand, with padding and absent rows zero; to f32 they widen. As A, whose K is the width:
// out[count][depth].
template <class T>
static void load_rows(const TensorView& x, const RowIndex& at, int64_t h, Range rows, int64_t depth,
                      float* out) {
  const int64_t width = x.shape[2];
  for_each_row(at, rows, [&](int64_t, int64_t place) {
    const T* row = row_of<T>(x, place, h);
#pragma omp simd
    for (int64_t d = 0; d < width; ++d) out[d] = widen(row[d]);
    for (int64_t d = width; d < depth; ++d) out[d] = 0.0f;
    out += depth;
  });
}
template <class T>
static void load_rows(const TensorView& x, const RowIndex& at, int64_t h, Range rows, int64_t depth,
                      Pair* out) {
  const auto width = static_cast<size_t>(x.shape[2]);
  for_each_row(at, rows, [&](int64_t, int64_t place) {
    std::fill(out, out + depth / 2, Pair{});
    std::memcpy(out, row_of<T>(x, place, h), width * sizeof(T));
    out += depth / 2;
  });
}

// An element of a smaller type as one of T, which holds it exactly.
template <class T>
LATHE_INLINE T widen_to(BF16 x) {
  return widen(x);
}
template <class T>
LATHE_INLINE T widen_to(int8_t x) {
  const auto value = static_cast<float>(x);
  if constexpr (std::is_same_v<T, BF16>) {
    return BF16{static_cast<uint16_t>(__builtin_bit_cast(uint32_t, value) >> 16)};
  } else {
    return value;
  }
}

// Rows of one head that a loader takes.
struct RowsOfHead {
  TensorView x;
  RowIndex at;
  int64_t head;
  Range rows;
};

// Asks memory for rows that are read soon: those of one head lie too far apart for the processor to
// foresee them.
LATHE_INLINE void prefetch_rows(const RowsOfHead& from) {
  constexpr int64_t kLine = 64;
  const auto size = static_cast<int64_t>(size_of(from.x.dtype));
  const auto* first = static_cast<const std::byte*>(from.x.data);
  for_each_row(from.at, from.rows, [&](int64_t, int64_t place) {
    const std::byte* row = first + (place * from.x.stride[0] + from.head * from.x.stride[1]) * size;
    for (int64_t at = 0; at < from.x.shape[2] * size; at += kLine)
      __builtin_prefetch(row + at, 0, 2);
  });
}

template <class T, class S>
static void widen_rows(const RowsOfHead& from, T* out) {
  const int64_t width = from.x.shape[2];
  for_each_row(from.at, from.rows, [&](int64_t, int64_t place) {
    const S* row = row_of<S>(from.x, place, from.head);
#pragma omp simd
    for (int64_t d = 0; d < width; ++d) out[d] = widen_to<T>(row[d]);
    out += width;
  });
}

// The same rows in type T: where they are, or, if a cache keeps them in a smaller type, widened into
// `buffer`, without the scales that int8 rows have.
template <class T>
static RowsOfHead rows_as(const RowsOfHead& from, float* buffer) {
  static constexpr int32_t kFirst = 0;
  if (from.x.dtype == DTypeOf<T>::value) return from;
  T* const to = static_cast<T*>(static_cast<void*>(buffer));
  if (from.x.dtype == DType::kI8)
    widen_rows<T, int8_t>(from, to);
  else if constexpr (std::is_same_v<T, float>)
    widen_rows<T, BF16>(from, to);
  RowsOfHead rows{from.x, {&kFirst, int64_t{1} << 62}, 0, {0, from.rows.size()}};
  rows.x.data = to;
  rows.x.dtype = DTypeOf<T>::value;
  rows.x.stride[0] = rows.x.stride[1] = from.x.shape[2];
  return rows;
}

// The scales of int8 rows, padded with zeros to a tile of keys.
LATHE_INLINE void load_scales(const RowsOfHead& from, float* out) {
  float* to = out;
  for_each_row(from.at, from.rows, [&](int64_t, int64_t place) {
    *to++ = from.x.as<float>()[place * from.x.stride[0] + from.head * from.x.stride[1]];
  });
  std::fill(to, out + kKeyTile, 0.0f);
}

// As B, where K are the rows: out[count][depth].
template <class T>
static void load_stacked(const TensorView& x, const RowIndex& at, int64_t h, Range rows,
                         int64_t depth, float* out) {
  load_rows<T>(x, at, h, rows, depth, out);
}
template <class T>
static void load_stacked(const TensorView& x, const RowIndex& at, int64_t h, Range rows,
                         int64_t depth, Pair* out) {
  const int64_t width = x.shape[2];
  for (int64_t t = rows.begin; t < rows.end; t += 2, out += depth) {
    const T* odd = t + 1 < rows.end ? row_of<T>(x, at(t + 1), h) : nullptr;
    stack_pairs(row_of<T>(x, at(t), h), odd, out, width);
    std::fill(out + width, out + depth, Pair{});
  }
}

// As B, whose K is the width, of one tile of keys: out[depth][kKeyTile]. Squares of kWidth keys are
// transposed in registers, what is left over one value at a time.
template <class T, class E>
static void load_transposed(const TensorView& x, const RowIndex& at, int64_t h, Range rows,
                            int64_t depth, E* out) {
  constexpr int64_t kStep = kWidth * kValues<E>;
  const int64_t width = x.shape[2], squares = width / kStep * kStep;
  const int64_t whole = rows.size() / kWidth * kWidth;
  if (squares < depth || whole < kKeyTile)
    std::fill(out, out + operand_length<E>(depth) * kKeyTile, E{});
  const T* row[kKeyTile];
  for_each_row(at, rows,
               [&](int64_t t, int64_t place) { row[t - rows.begin] = row_of<T>(x, place, h); });
  for (int64_t j = 0; j < whole; j += kWidth)
    for (int64_t d = 0; d < squares; d += kStep) {
      Vec square[kWidth];
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) {
        if constexpr (std::is_same_v<E, float>)
          square[i] = load(row[j + i] + d);
        else
          __builtin_memcpy(&square[i], row[j + i] + d, sizeof(Vec));
      }
      transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i)
        std::memcpy(out + (d / kValues<E> + i) * kKeyTile + j, &square[i], sizeof(Vec));
    }
  for (int64_t j = 0; j < rows.size(); ++j)
    for (int64_t d = j < whole ? squares : 0; d < width; ++d) {
      if constexpr (std::is_same_v<E, float>)
        out[d * kKeyTile + j] = widen(row[j][d]);
      else
        out[d / 2 * kKeyTile + j].bits |= uint32_t{row[j][d].bits} << d % 2 * 16;
    }
}

// The rows of a tile of queries: as A, and if wanted stacked as B and in f32 (for Shaw's tables).
// Of f32 inputs all three are one.
template <class E>
struct QueryRows {
  struct Wanted {
    bool stacked = false, plain = false;
  };
  E *left, *stacked;
  float* plain;

  template <class Take>
  QueryRows(int64_t depth, const Wanted& wanted, Take&& take) {
    const int64_t floats = kQueryTile * depth;
    left = take_operand<E>(take, floats);
    if constexpr (std::is_same_v<E, float>) {
      stacked = plain = left;
    } else {
      stacked = wanted.stacked ? take_operand<E>(take, floats) : nullptr;
      plain = wanted.plain ? take(floats) : nullptr;
    }
  }
  template <class T>
  void load(const TensorView& x, const RowIndex& at, int64_t h, Range rows, int64_t depth) const {
    load<T>(x, at, {h, h + 1}, rows, depth);
    if constexpr (std::is_same_v<E, float>) return;
    if (stacked != nullptr) load_stacked<T>(x, at, h, rows, depth, stacked);
  }
  // Those of several heads, one behind the other; not stacked.
  template <class T>
  void load(const TensorView& x, const RowIndex& at, Range heads, Range rows, int64_t depth) const {
    for (int64_t h = heads.begin, first = 0; h < heads.end; ++h, first += rows.size()) {
      load_rows<T>(x, at, h, rows, depth, left + first * operand_length<E>(depth));
      if constexpr (!std::is_same_v<E, float>)
        if (plain != nullptr) load_rows<T>(x, at, h, rows, depth, plain + first * depth);
    }
  }
};

// A tile of scores as operand A.
template <class E>
struct TileOperand {
  const E* data;
  int64_t row, col;
};

// K are the keys.
LATHE_INLINE TileOperand<float> along_keys(const float* scores, int64_t, float*) {
  return {scores, kKeyTile, 1};
}
LATHE_INLINE TileOperand<Pair> along_keys(const float* scores, int64_t rows, Pair* buffer) {
  auto* to = static_cast<BF16*>(static_cast<void*>(buffer));
  for (int64_t i = 0; i < rows * kKeyTile; i += kWidth) store(to + i, load(scores + i));
  return {buffer, kKeyTile / 2, 1};
}

// Rows of keys in which two queries are a pair, zeros beyond the last one.
static inline void transpose_pairs(const float* scores, int64_t rows, Pair* to) {
  constexpr int64_t kSquare = kWidth;
  for (int64_t r = 0; r < kQueryTile; r += 2 * kSquare)
    for (int64_t j = 0; j < kKeyTile; j += kSquare) {
      Vec square[kSquare];
#pragma GCC unroll 16
      for (int64_t i = 0; i < kSquare; ++i) {
        const float* even = scores + (r + 2 * i) * kKeyTile + j;
        Pair pairs[kSquare];
        store_pairs(pairs, r + 2 * i < rows ? load(even) : Vec{},
                    r + 2 * i + 1 < rows ? load(even + kKeyTile) : Vec{});
        __builtin_memcpy(&square[i], pairs, sizeof(Vec));
      }
      transpose(square);
#pragma GCC unroll 16
      for (int64_t i = 0; i < kSquare; ++i)
        __builtin_memcpy(to + (j + i) * (kQueryTile / 2) + r / 2, &square[i], sizeof(Vec));
    }
}

// K are the queries.
LATHE_INLINE TileOperand<float> along_queries(const float* scores, int64_t, float*) {
  return {scores, 1, kKeyTile};
}
LATHE_INLINE TileOperand<Pair> along_queries(const float* scores, int64_t rows, Pair* buffer) {
  Pair* to = buffer;
  if constexpr (kHasMatrixTiles) {
    transpose_pairs(scores, rows, to);
    return {buffer, kQueryTile / 2, 1};
  }
  for (int64_t r = 0; r < rows; r += 2, to += kKeyTile, scores += 2 * kKeyTile)
    for (int64_t j = 0; j < kKeyTile; j += kWidth)
      store_pairs(to + j, load(scores + j), r + 1 < rows ? load(scores + kKeyTile + j) : Vec{});
  return {buffer, 1, kKeyTile};
}

template <class T>
static void store_rows(const float* x, int64_t depth, const TensorView& out, const RowIndex& at,
                       int64_t h, Range rows) {
  const int64_t width = out.shape[2];
  for_each_row(at, rows, [&](int64_t, int64_t place) {
    T* row = mutable_row_of<T>(out, place, h);
#pragma omp simd
    for (int64_t d = 0; d < width; ++d) row[d] = narrow_to<T>(x[d]);
    x += depth;
  });
}

// A table of Shaw's, f32 [2w+1, width]: as rows, out[2w+1][depth], and transposed,
// out[depth][columns], the padding zero.
static void load_table(const TensorView& table, int64_t depth, float* out) {
  for (int64_t i = 0; i < table.shape[0]; ++i, out += depth) {
    const float* row = table.as<float>() + i * table.stride[0];
    std::copy(row, row + table.shape[1], out);
    std::fill(out + table.shape[1], out + depth, 0.0f);
  }
}
static void load_table_transposed(const TensorView& table, int64_t depth, int64_t columns,
                                  float* out) {
  std::fill(out, out + depth * columns, 0.0f);
  for (int64_t i = 0; i < table.shape[0]; ++i)
    for (int64_t d = 0; d < table.shape[1]; ++d)
      out[d * columns + i] = table.as<float>()[i * table.stride[0] + d];
}
