#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {

void gather_rows(const TensorView& x_view, const TensorView& rows_view,
                 const TensorView& scales_view, const TensorView& out_view) {
  const Array x(x_view), rows(rows_view), scales(scales_view), out(out_view);
  for (int64_t r = 0; r < out.size(0); ++r) {
    const auto from = static_cast<int64_t>(rows(r));
    const double scale = scales ? scales(r) : 1.0;
    for (int64_t c = 0; c < out.size(1); ++c) out.set(from < 0 ? 0.0 : scale * x(from, c), r, c);
  }
}

void gather_sum(const TensorView& x_view, const Kernels::RowLists& lists,
                const TensorView& scales_view, const TensorView& out_view, Write write) {
  const Array x(x_view), begin(lists.begin), index(lists.index), scales(scales_view), out(out_view);
  for (int64_t n = 0; n < out.size(0); ++n)
    for (int64_t c = 0; c < out.size(1); ++c) {
      double sum = 0;
      for (auto j = static_cast<int64_t>(begin(n)); j < static_cast<int64_t>(begin(n + 1)); ++j) {
        const auto r = static_cast<int64_t>(index(j));
        sum += (scales ? scales(r) : 1.0) * x(r, c);
      }
      out.put(write, sum, n, c);
    }
}

void gather_dot(const TensorView& a_view, const TensorView& b_view, const TensorView& rows_view,
                const TensorView& out_view) {
  const Array a(a_view), b(b_view), rows(rows_view), out(out_view);
  for (int64_t r = 0; r < out.size(0); ++r) {
    const auto at = static_cast<int64_t>(rows(r));
    double sum = 0;
    for (int64_t c = 0; at >= 0 && c < a.size(1); ++c) sum += a(r, c) * b(at, c);
    out.set(sum, r);
  }
}

}  // namespace lathe::kernels::ref
