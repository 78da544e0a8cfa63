// Looking rows up, and adding gradients to them.
//
// Tokens repeat, most of them a few very often, so splitting the backward by tokens would need
// locks and splitting it by table rows would leave most threads idle. Threads own columns instead:
// each reads all ids in order and adds its columns only, which is balanced, free of conflicts, and
// adds in the order of n whatever the thread count.
#include <algorithm>

#include "lathe/base/parallel.h"
#include "lathe/kernels/cpu/isa/isa.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/blocks.h"
namespace {

template <class T>
void add_run(const T* from, float* to, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) to[i] += to_float(from[i]);
}

}  // namespace

void embedding(const TensorView& table, const TensorView& ids, const TensorView& out) {
  const int64_t width = out.shape[1];
  with_type(table.dtype, [&](auto tt) {
    with_type(out.dtype, [&](auto to) {
      using T = decltype(tt);
      using O = decltype(to);
      parallel_for(out.shape[0], row_grain(width, kGrain), [&](int64_t n) {
        const int64_t id = ids.as<int32_t>()[n * ids.stride[0]];
        convert_run(row_of<T>(table, id), row_of<O>(out, n), width);
      });
    });
  });
}

void embedding_backward(const TensorView& ids, const TensorView& dout, const TensorView& dtable) {
  constexpr int64_t kUnit =
      32;  // columns: two cache lines of the table, so that threads share none
  const int64_t rows = dout.shape[0], width = dout.shape[1];
  with_type(dout.dtype, [&](auto t) {
    using T = decltype(t);
    const int64_t grain = std::max<int64_t>(2, row_grain(rows * kUnit, kGrain));
    parallel_ranges((width + kUnit - 1) / kUnit, grain, [&](Range r, int) {
      const int64_t begin = r.begin * kUnit, n = std::min(width, r.end * kUnit) - begin;
      for (int64_t row = 0; row < rows; ++row) {
        const int64_t id = ids.as<int32_t>()[row * ids.stride[0]];
        add_run(row_of<const T>(dout, row) + begin, row_of<float>(dtable, id) + begin, n);
      }
    });
  });
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
