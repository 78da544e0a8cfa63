// Products with quantised weights, on their integers. x is rounded once to int8 in groups of 32; the
// dot products of a group are integers, exact in any order, and each is added in f32 to the output,
// group by group. So an output has the same bits whatever the number of rows and threads, and
// whichever loop computes it.
//
// One row (decoding) reads every byte of the weights once, and the speed is that of memory. Many
// rows are computed in tiles of kTileRows of them by one strip, for some strips at a time, which
// stay in the cache meanwhile.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "lathe/base/parallel.h"
#include "lathe/kernels/cpu/isa/isa.h"
#include "lathe/kernels/cpu/scratch.h"
#include "lathe/kernels/kernels.h"
#include "lathe/kernels/quantized/packed_rows.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/loops.h"
#include "lathe/kernels/cpu/isa/simd.h"
// simd.h first: the types of these are made of its vectors.
#include "lathe/kernels/cpu/isa/integer_dot.h"
#include "lathe/kernels/cpu/isa/quantized_forms.h"

namespace {

constexpr int kTileRows = kWidth == 16 ? 8 : kWidth == 8 ? 4 : 2;  // by the number of registers
constexpr int64_t kCachedBytes = 128 * 1024;  // of the strips that stay in the second-level cache
constexpr int64_t kMultiplications = 128 * 1024;  // worth a thread

// A group of a row of x: x ≈ scale·q.
struct GroupOfX {
  float scale;
  float total;       // scale · (sum of q)
  int32_t minus[3];  // -(sum of q): of all, of the first half, of the second
};

// Rows of x that are computed together.
struct TileOfX {
  int64_t first, rows;
};

// x [N,K] in int8, by tiles: of kTileRows rows, and the rest of half as many each time it fits. A
// tile holds its rows side by side, group by group, so that a loop over it has one address.
class Rounded {
 public:
  Rounded(int64_t rows, int64_t columns)
      : rows_(rows),
        columns_(columns),
        integers_(rows * columns / 4, 1),
        groups_(rows * columns / kGroup * static_cast<int64_t>(sizeof(GroupOfX) / sizeof(float)),
                1) {}

  TileOfX tile_with(int64_t row) const {
    TileOfX tile{row / kTileRows * kTileRows, kTileRows};
    for (;; tile.rows /= 2) {
      if (tile.first + tile.rows > rows_) continue;
      if (row < tile.first + tile.rows) return tile;
      tile.first += tile.rows;
    }
  }
  // Of the first group of the tile's first row; those of the next row follow, then the next group.
  int8_t* integers(TileOfX tile) const {
    return reinterpret_cast<int8_t*>(integers_.of_thread(0)) + tile.first * columns_;
  }
  GroupOfX* groups(TileOfX tile) const {
    return reinterpret_cast<GroupOfX*>(groups_.of_thread(0)) + tile.first * (columns_ / kGroup);
  }

 private:
  int64_t rows_, columns_;
  Scratch integers_, groups_;
};

constexpr int kVectors = kGroup / kWidth;

// The largest |x| of a group: the bits of |x| are in the order of |x|, with NaN above all.
LATHE_INLINE uint32_t largest_bits(const Vec (&x)[kVectors]) {
  Words largest = {};
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const Words bits = (Words)x[v] & 0x7FFFFFFFu;
    largest = bits > largest ? bits : largest;
  }
  return largest_lane(largest);
}

// scale = max |x| / 127, q = x / scale to the nearest whole number. A NaN or infinity in x makes the
// scale one, and with it the outputs NaN or infinite.
template <class T>
LATHE_INLINE void round_group(const T* from, int8_t* q, GroupOfX& group) {
  Vec x[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) x[v] = load(from + v * kWidth);
  const uint32_t largest = largest_bits(x);
  float magnitude;
  __builtin_memcpy(&magnitude, &largest, sizeof(magnitude));
  group.scale = magnitude / 127.0f;
  // Below the smallest normal scale the quotient would overflow, and x counts as 0.
  const bool finite = largest < 0x7F800000u;
  const float inverse = group.scale >= 1.17549435e-38f ? 1.0f / group.scale : 0.0f;
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const Vec quotient = finite ? x[v] * inverse : Vec{} + 1.0f;
    const Vec half = (Vec)(((Words)quotient & 0x80000000u) | 0x3F000000u);  // ±0.5
    const auto bytes =
        __builtin_convertvector(__builtin_convertvector(quotient + half, Ints), SignedBytes);
    __builtin_memcpy(q + v * kWidth, &bytes, sizeof(bytes));
  }
  group.minus[1] = -sum_of_16(q);
  group.minus[2] = -sum_of_16(q + kGroup / 2);
  group.minus[0] = group.minus[1] + group.minus[2];
  group.total = -(group.scale * static_cast<float>(group.minus[0]));
}

template <class T>
void round_rows(const TensorView& x, const Rounded& to) {
  const int64_t columns = x.shape[1];
  parallel_for(x.shape[0], row_grain(columns, kGrain), [&](int64_t n) {
    const T* row = row_of<T>(x, n);
    const TileOfX tile = to.tile_with(n);
    for (int64_t g = 0; g < columns / kGroup; ++g) {
      const int64_t at = g * tile.rows + n - tile.first;
      round_group(row + g * kGroup, to.integers(tile) + at * kGroup, to.groups(tile)[at]);
    }
  });
}

struct Call {
  const Rounded& x;
  PackedRows w;
  const float* bias;  // of the rows of w, or nullptr
  TensorView y;
  int64_t first;  // column of y that belongs to row 0 of w
};

// dot = -zero · (sum of x), of the whole group (`part` 0) or of a half (1, 2).
template <int kZero, int R>
LATHE_INLINE void begin_dots(const GroupOfX* of_x, int part, Ints (&dot)[R]) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) dot[r] = kZero == 0 ? Ints{} : times<kZero>(of_x[r].minus[part]);
}

// dot += w·x over kWords words from `first` on.
template <bool kSmall, int kWords, int R>
LATHE_INLINE void add_dots(const Words (&w)[kWordsOfGroup], int first, const int8_t* x,
                           Ints (&dot)[R]) {
#pragma GCC unroll 8
  for (int j = first; j < first + kWords; ++j)
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      int32_t four;
      __builtin_memcpy(&four, x + r * kGroup + 4 * j, sizeof(four));
      dot[r] = add_dot<kSmall>(dot[r], w[j], four);
    }
}

// sum += scale·(scale of x)·dot + offset·(sum of x).
template <bool kAffine, int R>
LATHE_INLINE void add_scaled(const Scales& of_w, const GroupOfX* of_x, const Ints (&dot)[R],
                             Vec (&sum)[R]) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    const Vec whole = __builtin_convertvector(dot[r], Vec);
    sum[r] = multiply_add(of_w.scale * of_x[r].scale, whole, sum[r]);
    if constexpr (kAffine) sum[r] = multiply_add(of_w.offset, Vec{} + of_x[r].total, sum[r]);
  }
}

// The tile of R rows of x from `n` on by one strip, for kWidth of its rows from `lane` on.
template <PackedForm kForm, int R>
LATHE_INLINE void multiply(const Call& c, int64_t strip, int lane, int64_t n, Vec (&sum)[R]) {
  constexpr PackedLayout kLayout = layout_of(kForm);
  constexpr PackedScales kKind = kLayout.scales;
  constexpr bool kAffine = kKind == PackedScales::kAffine || kKind == PackedScales::kAffineK;
  constexpr int kParts = kKind == PackedScales::kHalvesK ? 2 : 1;
  constexpr int kWords = kWordsOfGroup / kParts;
  const std::byte* next = c.w.strip(strip);
  const int8_t* x = c.x.integers({n, R});
  const GroupOfX* of_x = c.x.groups({n, R});
  for (int64_t left = c.w.groups(); left > 0; left -= kLayout.run()) {
    const std::byte* scales = next;
    next += kLayout.scale_bytes();
    for (int64_t g = 0; g < std::min(left, kLayout.run()); ++g) {
      Words w[kWordsOfGroup];
      load_group<kLayout.bits>(next + 4 * lane, w);
#pragma GCC unroll 2
      for (int part = 0; part < kParts; ++part) {
        Ints dot[R];
        begin_dots<kLayout.zero>(of_x, kParts == 2 ? part + 1 : 0, dot);
        add_dots<kLayout.bits != 8, kWords>(w, part * kWords, x, dot);
        add_scaled<kAffine>(load_scales<kKind>(scales, g, part, lane), of_x, dot, sum);
      }
      next += kLayout.group_bytes();
      x += R * kGroup;
      of_x += R;
    }
  }
}

template <class Out>
LATHE_INLINE void write(const Call& c, int64_t row, int64_t n, Vec sum) {
  const int64_t count = std::min<int64_t>(kWidth, c.w.rows - row);
  Out* y = row_of<Out>(c.y, n) + c.first + row;
  if (count == kWidth) {
    if (c.bias) sum += load(c.bias + row);
    return store(y, sum);
  }
  for (int64_t i = 0; i < count; ++i) put(y[i], c.bias ? sum[i] + c.bias[row + i] : sum[i]);
}

template <PackedForm kForm, int R>
void tile(const Call& c, int64_t strip, int64_t n) {
  for (int lane = 0; lane < kStripRows; lane += kWidth) {
    Vec sum[R] = {};
    multiply<kForm>(c, strip, lane, n, sum);
    const int64_t row = strip * kStripRows + lane;
    if (row >= c.w.rows) return;
    with_type(c.y.dtype, [&](auto type) {
      for (int r = 0; r < R; ++r) write<decltype(type)>(c, row, n + r, sum[r]);
    });
  }
}

// The rows of the tile that begins at `n`, after it was multiplied.
template <PackedForm kForm, int R = kTileRows>
int64_t tile_from(const Call& c, Range strips, int64_t n) {
  if constexpr (R > 1) {
    if (c.y.shape[0] - n < R) return tile_from<kForm, R / 2>(c, strips, n);
  }
  for (int64_t s = strips.begin; s < strips.end; ++s) tile<kForm, R>(c, s, n);
  return R;
}

// The outputs of some strips.
template <PackedForm kForm>
void product(const Call& c, Range mine) {
  const int64_t rows = c.y.shape[0];
  const int64_t together = std::max<int64_t>(1, kCachedBytes / c.w.strip_bytes());
  for (int64_t s = mine.begin; s < mine.end; s += together) {
    const Range strips{s, std::min(s + together, mine.end)};
    for (int64_t n = 0; n < rows;) n += tile_from<kForm>(c, strips, n);
  }
}

void product(const Call& c, Range strips) {
  switch (c.w.form) {
    case PackedForm::kQ8:
      return product<PackedForm::kQ8>(c, strips);
    case PackedForm::kQ4:
      return product<PackedForm::kQ4>(c, strips);
    case PackedForm::kQ4Affine:
      return product<PackedForm::kQ4Affine>(c, strips);
    case PackedForm::kQ5:
      return product<PackedForm::kQ5>(c, strips);
    case PackedForm::kQ5Affine:
      return product<PackedForm::kQ5Affine>(c, strips);
    case PackedForm::kQ4K:
      return product<PackedForm::kQ4K>(c, strips);
    case PackedForm::kQ5K:
      return product<PackedForm::kQ5K>(c, strips);
    case PackedForm::kQ6K:
      return product<PackedForm::kQ6K>(c, strips);
  }
}

// All parts in one parallel loop over their strips: small parts, as those of keys and values, have
// too few for one of their own.
void product(std::span<const Call> calls) {
  int64_t strips = 0;
  for (const Call& c : calls) strips += c.w.strips();
  const int64_t rows = calls[0].y.shape[0], columns = calls[0].w.columns;
  const int64_t grain =
      std::max<int64_t>(1, kMultiplications / std::max<int64_t>(1, rows * kStripRows * columns));
  parallel_ranges(strips, grain, [&](Range mine, int) {
    int64_t first = 0;
    for (const Call& c : calls) {
      const int64_t count = c.w.strips();
      product(c, {std::clamp<int64_t>(mine.begin - first, 0, count),
                  std::clamp<int64_t>(mine.end - first, 0, count)});
      first += count;
    }
  });
}

}  // namespace

void quantized_matmul(const TensorView& x, const PackedParts& w, const TensorView& bias,
                      const TensorView& y) {
  const int64_t rows = x.shape[0];
  if (rows == 0) return;
  const Rounded rounded(rows, x.shape[1]);
  with_type(x.dtype, [&](auto type) { round_rows<decltype(type)>(x, rounded); });
  const Scratch wide_bias(bias && bias.dtype != DType::kF32 ? y.shape[1] : 0, 1);
  const float* b = floats_of(bias, y.shape[1], wide_bias.of_thread(0));
  std::vector<Call> calls;
  int64_t first = 0;
  for (const PackedRows& part : w.parts) {
    calls.push_back({rounded, part, b ? b + first : nullptr, y, first});
    first += part.rows;
  }
  product(calls);
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
