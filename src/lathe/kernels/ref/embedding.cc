#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {

void embedding(const TensorView& table_view, const TensorView& ids_view,
               const TensorView& out_view) {
  const Array table(table_view), ids(ids_view), out(out_view);
  for (int64_t n = 0; n < out.size(0); ++n)
    for (int64_t c = 0; c < out.size(1); ++c) out.set(table(static_cast<int64_t>(ids(n)), c), n, c);
}

void embedding_backward(const TensorView& ids_view, const TensorView& dout_view,
                        const TensorView& dtable_view) {
  const Array ids(ids_view), dout(dout_view), dtable(dtable_view);
  for (int64_t n = 0; n < dout.size(0); ++n)
    for (int64_t c = 0; c < dout.size(1); ++c)
      dtable.put(Write::kAccumulate, dout(n, c), static_cast<int64_t>(ids(n)), c);
}

}  // namespace lathe::kernels::ref
