#include "lathe/base/rng.h"
#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {

void dropout(const TensorView& x, const TensorView& out, double p, uint64_t key) {
  const Rng rng = Rng::from_key(key);
  for (int64_t i = 0; i < out.numel(); ++i) {
    const bool keep = static_cast<double>(rng.uniform(static_cast<uint64_t>(i))) >= p;
    store(out, offset_of(out, i), keep ? load(x, offset_of(x, i)) / (1.0 - p) : 0.0);
  }
}

}  // namespace lathe::kernels::ref
