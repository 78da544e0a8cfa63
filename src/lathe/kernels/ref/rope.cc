#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {

void rope(const TensorView& x_view, const TensorView& cos_view, const TensorView& sin_view,
          const TensorView& positions_view, const TensorView& out_view, const RopeSpec& spec) {
  const Array x(x_view), cos(cos_view), sin(sin_view), positions(positions_view), out(out_view);
  const int64_t pairs = cos.size(1);
  const bool halves = spec.layout == RopeLayout::kHalfSplit;
  for (int64_t n = 0; n < x.size(0); ++n)
    for (int64_t h = 0; h < x.size(1); ++h) {
      const auto p = static_cast<int64_t>(positions(n));
      for (int64_t i = 0; i < pairs; ++i) {
        const int64_t first = halves ? i : 2 * i, second = halves ? i + pairs : 2 * i + 1;
        const double c = cos(p, i), s = spec.inverse ? -sin(p, i) : sin(p, i);
        const double u = x(n, h, first), v = x(n, h, second);
        out.set(u * c - v * s, n, h, first);
        out.set(v * c + u * s, n, h, second);
      }
      for (int64_t d = 2 * pairs; d < x.size(2); ++d) out.set(x(n, h, d), n, h, d);
    }
}

}  // namespace lathe::kernels::ref
