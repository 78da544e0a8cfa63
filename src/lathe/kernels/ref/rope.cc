#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {

void rope(const TensorView& x_view, const TensorView& cos_view, const TensorView& sin_view,
          const TensorView& positions_view, const TensorView& out_view, const RopeSpec& spec) {
  const Array x(x_view), cos(cos_view), sin(sin_view), positions(positions_view), out(out_view);
  const int64_t pairs = cos.size(1);
  const bool halves = spec.layout == RopeLayout::kHalfSplit;
  for (int64_t b = 0; b < x.size(0); ++b)
    for (int64_t t = 0; t < x.size(1); ++t)
      for (int64_t h = 0; h < x.size(2); ++h) {
        const auto p = static_cast<int64_t>(positions(b, t));
        for (int64_t i = 0; i < pairs; ++i) {
          const int64_t first = halves ? i : 2 * i, second = halves ? i + pairs : 2 * i + 1;
          const double c = cos(p, i), s = spec.inverse ? -sin(p, i) : sin(p, i);
          const double u = x(b, t, h, first), v = x(b, t, h, second);
          out.set(u * c - v * s, b, t, h, first);
          out.set(v * c + u * s, b, t, h, second);
        }
        for (int64_t d = 2 * pairs; d < x.size(3); ++d) out.set(x(b, t, h, d), b, t, h, d);
      }
}

}  // namespace lathe::kernels::ref
