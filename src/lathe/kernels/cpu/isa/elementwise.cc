// Elementwise kernels: bound by memory, so all there is to do is to touch every byte once.
#include <algorithm>

#include "lathe/base/parallel.h"
#include "lathe/kernels/cpu/isa/isa.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/blocks.h"
namespace {

void add_run(const float* a, const float* b, float* out, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

}  // namespace

void add(const TensorView& a, const TensorView& b, const TensorView& out) {
  for_each_run({&out, &a, &b}, kGrain, [&](const int64_t* at, int64_t n) {
    with_type(a.dtype, [&](auto ta) {
      with_type(b.dtype, [&](auto tb) {
        with_type(out.dtype, [&](auto to) {
          as_floats(n, add_run, read(a.as<decltype(ta)>() + at[1]),
                    read(b.as<decltype(tb)>() + at[2]), write(out.as<decltype(to)>() + at[0]));
        });
      });
    });
  });
}

void axpy(double alpha, const TensorView& x, const TensorView& y) {
  const auto loop = [factor = static_cast<float>(alpha)](const float* from, float* to, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) to[i] += factor * from[i];
  };
  for_each_run({&y, &x}, kGrain, [&](const int64_t* at, int64_t n) {
    with_type(x.dtype, [&](auto tx) {
      with_type(y.dtype, [&](auto ty) {
        as_floats(n, loop, read(x.as<decltype(tx)>() + at[1]),
                  update(y.as<decltype(ty)>() + at[0]));
      });
    });
  });
}

void scale(double alpha, const TensorView& x, const TensorView& out) {
  const auto loop = [factor = static_cast<float>(alpha)](const float* from, float* to, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) to[i] = factor * from[i];
  };
  for_each_run({&out, &x}, kGrain, [&](const int64_t* at, int64_t n) {
    with_type(x.dtype, [&](auto tx) {
      with_type(out.dtype, [&](auto to) {
        as_floats(n, loop, read(x.as<decltype(tx)>() + at[1]),
                  write(out.as<decltype(to)>() + at[0]));
      });
    });
  });
}

namespace {

// f16 converts by a function call per element.
template <class X, class O>
LATHE_INLINE void convert(X x, O& out) {
  if constexpr (std::is_same_v<O, BF16>)
    put(out, static_cast<float>(to_float(x)));
  else if constexpr (std::is_same_v<O, F16>)
    out = to_f16(static_cast<float>(to_float(x)));
  else
    out = static_cast<O>(to_float(x));
}

template <class X, class O>
void cast_run(const X* x, int64_t x_step, O* out, int64_t out_step, int64_t n) {
  if (x_step == 1 && out_step == 1) {
    constexpr bool kNarrows = std::is_same_v<X, float> && std::is_same_v<O, BF16>;
    constexpr bool kWidens = std::is_same_v<X, BF16> && std::is_same_v<O, float>;
    if constexpr (kNarrows || kWidens) {
      convert_run(x, out, n);
    } else if constexpr (std::is_same_v<X, F16> || std::is_same_v<O, F16>) {
      for (int64_t i = 0; i < n; ++i) convert(x[i], out[i]);
    } else {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) convert(x[i], out[i]);
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) convert(x[i * x_step], out[i * out_step]);
}

}  // namespace

// Any floating dtypes and strides.
void cast(const TensorView& x, const TensorView& out) {
  const int last = out.rank - 1;
  const bool gaps =
      out.rank > 0 && out.shape[last] > 1 && (x.stride[last] != 1 || out.stride[last] != 1);
  TensorView x_rows = x, out_rows = out;
  int64_t x_step = 1, out_step = 1, inner = 1;
  if (gaps) {  // walk the other dimensions, and the last one by its steps
    inner = out.shape[last];
    x_step = x.stride[last];
    out_step = out.stride[last];
    x_rows.shape[last] = out_rows.shape[last] = 1;
  }
  const auto run = [&](const int64_t* at, int64_t n) {
    visit_floating(x.dtype, [&](auto tx) {
      visit_floating(out.dtype, [&](auto to) {
        using X = typename decltype(tx)::type;
        using O = typename decltype(to)::type;
        const X* from = x.as<X>() + at[1];
        O* into = out.as<O>() + at[0];
        if (!gaps) return cast_run(from, 1, into, 1, n);
        cast_run(from, x_step, into, out_step, inner);
      });
    });
  };
  for_each_run({&out_rows, &x_rows}, std::max<int64_t>(1, kGrain / inner), run);
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
