// Products with quantised weights, on their integers. x is rounded once to int8 in groups of 32; the
// dot products of a group are integers, exact in any order, and each is added in f32 to the output,
// group by group. So an output has the same bits whatever the number of rows and threads, and
// whichever loop computes it.
//
// One row (decoding) reads every byte of the weights once, and the speed is that of memory. Many
// rows are computed in tiles of kTileRows of them by one strip, for some strips at a time, which
// stay in the cache meanwhile.

#include <algorithm>
#include <cmath>
#include <cstring>

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

constexpr int kTileRows = kWidth == 4 ? 2 : 8;
constexpr int64_t kCachedBytes = 128 * 1024;  // of the strips that stay in the second-level cache
// What the first tile of a strip reads ahead; strips lie one behind the other, with their scales.
constexpr int64_t kPrefetchAhead = 4096;
constexpr int64_t kMultiplications = 128 * 1024;  // worth a thread

// A group of a row of x: x ≈ scale·q, with the sums of q over its halves.
struct GroupOfX {
  float scale;
  float total;  // scale · (sum of q)
  int32_t sum[2];
};

// x [N,K] in int8.
class Rounded {
 public:
  Rounded(int64_t rows, int64_t columns)
      : columns_(columns),
        integers_(rows * columns / 4, 1),
        groups_(rows * columns / kGroup * static_cast<int64_t>(sizeof(GroupOfX) / sizeof(float)),
                1) {}
  int8_t* integers(int64_t row) const {
    return reinterpret_cast<int8_t*>(integers_.of_thread(0)) + row * columns_;
  }
  GroupOfX* groups(int64_t row) const {
    return reinterpret_cast<GroupOfX*>(groups_.of_thread(0)) + row * (columns_ / kGroup);
  }

 private:
  int64_t columns_;
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
  group.sum[0] = sum_of_16(q);
  group.sum[1] = sum_of_16(q + kGroup / 2);
  group.total = group.scale * static_cast<float>(group.sum[0] + group.sum[1]);
}

template <class T>
void round_rows(const TensorView& x, const Rounded& to) {
  const int64_t columns = x.shape[1];
  parallel_for(x.shape[0], row_grain(columns, kGrain), [&](int64_t n) {
    const T* row = row_of<T>(x, n);
    for (int64_t g = 0; g < columns / kGroup; ++g)
      round_group(row + g * kGroup, to.integers(n) + g * kGroup, to.groups(n)[g]);
  });
}

struct Call {
  const Rounded& x;
  PackedRows w;
  const float* bias;  // of the rows of w, or nullptr
  TensorView y;
  int64_t first;  // column of y that belongs to row 0 of w
};

// Rows [n, n + R) of x by one strip of weights, for kWidth of its rows from `lane` on.
template <PackedForm kForm, int R>
LATHE_INLINE void multiply(const Call& c, int64_t strip, int lane, int64_t n, Vec (&sum)[R]) {
  constexpr PackedLayout kLayout = layout_of(kForm);
  constexpr bool kAffine =
      kLayout.scales == PackedScales::kAffine || kLayout.scales == PackedScales::kAffineK;
  constexpr int kParts = kLayout.scales == PackedScales::kHalvesK ? 2 : 1;
  constexpr int kWords = kWordsOfGroup / kParts;
  const std::byte* scales = c.w.scales(strip);
  const std::byte* group = c.w.integers(strip) + 4 * lane;
  const int64_t columns = c.w.columns, groups = c.w.groups();
  const int8_t* x = c.x.integers(n);
  const GroupOfX* x_groups = c.x.groups(n);
  for (int64_t g = 0; g < groups; ++g, group += kLayout.group_bytes(), x += kGroup) {
    if (n == 0)
      for (int64_t at = 0; at < kLayout.group_bytes(); at += kVectorBytes)
        __builtin_prefetch(group + kPrefetchAhead + at, 0, 0);
    Words w[kWordsOfGroup];
    load_group<kLayout.bits>(group, w);
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
      Ints dot[R];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const GroupOfX& of_x = x_groups[r * groups + g];
        const int32_t total = kParts == 2 ? of_x.sum[part] : of_x.sum[0] + of_x.sum[1];
        dot[r] = Ints{} - kLayout.zero * total;
      }
#pragma GCC unroll 8
      for (int j = 0; j < kWords; ++j)
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          int32_t four;
          __builtin_memcpy(&four, x + r * columns + 4 * (part * kWords + j), sizeof(four));
          dot[r] = add_dot<kLayout.bits != 8>(dot[r], w[part * kWords + j], four);
        }
      const Scales of_w = load_scales<kLayout.scales>(scales, g, part, lane);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const GroupOfX& of_x = x_groups[r * groups + g];
        sum[r] =
            multiply_add(of_w.scale * of_x.scale, __builtin_convertvector(dot[r], Vec), sum[r]);
        if constexpr (kAffine) sum[r] = multiply_add(of_w.offset, Vec{} + of_x.total, sum[r]);
      }
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
    multiply<kForm, R>(c, strip, lane, n, sum);
    const int64_t row = strip * kStripRows + lane;
    if (row >= c.w.rows) return;
    with_type(c.y.dtype, [&](auto type) {
      for (int r = 0; r < R; ++r) write<decltype(type)>(c, row, n + r, sum[r]);
    });
  }
}

// Rows from `n` on that one tile takes, the fewer the less are left.
template <PackedForm kForm, int R = kTileRows>
int64_t tile_from(const Call& c, Range strips, int64_t n) {
  if constexpr (R > 1) {
    if (c.y.shape[0] - n < R) return tile_from<kForm, R / 2>(c, strips, n);
  }
  for (int64_t s = strips.begin; s < strips.end; ++s) tile<kForm, R>(c, s, n);
  return R;
}

template <PackedForm kForm>
void product(const Call& c) {
  const int64_t rows = c.y.shape[0];
  const int64_t together = std::max<int64_t>(1, kCachedBytes / c.w.strip_bytes());
  const int64_t grain = std::max<int64_t>(
      1, kMultiplications / std::max<int64_t>(1, rows * kStripRows * c.w.columns));
  parallel_ranges(c.w.strips(), grain, [&](Range mine, int) {
    for (int64_t s = mine.begin; s < mine.end; s += together) {
      const Range strips{s, std::min(s + together, mine.end)};
      for (int64_t n = 0; n < rows;) n += tile_from<kForm>(c, strips, n);
    }
  });
}

void product(const Call& c) {
  switch (c.w.form) {
    case PackedForm::kQ8:
      return product<PackedForm::kQ8>(c);
    case PackedForm::kQ4:
      return product<PackedForm::kQ4>(c);
    case PackedForm::kQ4Affine:
      return product<PackedForm::kQ4Affine>(c);
    case PackedForm::kQ5:
      return product<PackedForm::kQ5>(c);
    case PackedForm::kQ5Affine:
      return product<PackedForm::kQ5Affine>(c);
    case PackedForm::kQ4K:
      return product<PackedForm::kQ4K>(c);
    case PackedForm::kQ5K:
      return product<PackedForm::kQ5K>(c);
    case PackedForm::kQ6K:
      return product<PackedForm::kQ6K>(c);
  }
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
  int64_t first = 0;
  for (const PackedRows& part : w.parts) {
    const Call call{rounded, part, b ? b + first : nullptr, y, first};
    product(call);
    first += part.rows;
  }
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
