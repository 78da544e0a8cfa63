#include <algorithm>

#include "lathe/base/parallel.h"
#include "lathe/kernels/cpu/isa/isa.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/loops.h"
namespace {

// Pair i is (i, i + pairs), or (2i, 2i + 1). `sign` -1 turns the rotation around.
template <bool kHalves, class T>
void rotate(const T* x, const float* cos, const float* sin, float sign, T* out, int64_t pairs) {
#pragma omp simd
  for (int64_t i = 0; i < pairs; ++i) {
    const int64_t first = kHalves ? i : 2 * i, second = kHalves ? i + pairs : 2 * i + 1;
    const float u = to_float(x[first]), v = to_float(x[second]), s = sign * sin[i];
    put(out[first], u * cos[i] - v * s);
    put(out[second], v * cos[i] + u * s);
  }
}

}  // namespace

void rope(const TensorView& x, const TensorView& cos, const TensorView& sin,
          const TensorView& positions, const TensorView& out, const RopeSpec& spec) {
  const int64_t heads = x.shape[1], depth = x.shape[2], pairs = cos.shape[1];
  const float sign = spec.inverse ? -1.0f : 1.0f;
  with_type(x.dtype, [&](auto t) {
    using T = decltype(t);
    parallel_for(x.shape[0], row_grain(heads * depth, kGrain), [&](int64_t n) {
      const int64_t p = positions.as<int32_t>()[n * positions.stride[0]];
      const float *c = row_of<float>(cos, p), *s = row_of<float>(sin, p);
      for (int64_t h = 0; h < heads; ++h) {
        const T* from = x.as<T>() + n * x.stride[0] + h * x.stride[1];
        T* to = out.as<T>() + n * out.stride[0] + h * out.stride[1];
        if (spec.layout == RopeLayout::kHalfSplit)
          rotate<true>(from, c, s, sign, to, pairs);
        else
          rotate<false>(from, c, s, sign, to, pairs);
        if (from != to) std::copy(from + 2 * pairs, from + depth, to + 2 * pairs);
      }
    });
  });
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
