// One loop per catalogue entry: the scalar functions of activation/ inlined into vector loops over
// floats.
#include <algorithm>
#include <array>

#include "lathe/base/parallel.h"
#include "lathe/kernels/activation/activations.h"
#include "lathe/kernels/cpu/isa/isa.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/blocks.h"
namespace {

template <class A>
void value_run(const float* x, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = A::value(x[i]);
}

template <class A>
void derivative_run(const float* x, const float* dy, float* dx, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] * A::derivative(x[i]);
}

template <class A>
void gated_run(const float* gate, const float* up, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = A::value(gate[i]) * up[i];
}

template <class A>
void gated_backward_run(const float* gate, const float* up, const float* dy, float* dgate,
                        float* dup, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float g = gate[i], u = up[i], d = dy[i];
    dgate[i] = d * u * A::derivative(g);
    dup[i] = d * A::value(g);
  }
}

// The loops of one activation. They are called through pointers, once a block, so that what
// surrounds them is compiled once for each dtype and not for each activation as well.
struct Runs {
  decltype(&value_run<activation::Identity>) value;
  decltype(&derivative_run<activation::Identity>) derivative;
  decltype(&gated_run<activation::Identity>) gated;
  decltype(&gated_backward_run<activation::Identity>) gated_backward;
};

Runs runs_of(ActivationId id) {
  Runs runs{};
  Activations::visit(id.index, [&](auto a) {
    using A = decltype(a);
    runs = {value_run<A>, derivative_run<A>, gated_run<A>, gated_backward_run<A>};
  });
  return runs;
}

// run(inputs…, y, n) so that an element has the same bits wherever it stands: the compiler may round
// once less in the vectors of a loop than in what is left over, so what is left over is a vector too.
template <class Run, class... X>
void in_vectors(Run run, int64_t n, float* y, const X*... x) {
  constexpr int64_t kBlock = 64;  // several vectors of every level
  const int64_t whole = n / kBlock * kBlock, rest = n - whole;
  if (whole > 0) run(x..., y, whole);
  if (rest == 0) return;
  const auto padded_run = [&](auto... buffers) {
    float last[kBlock];
    (std::fill(std::copy_n(x + whole, rest, buffers.data()), buffers.data() + kBlock, 0.0f), ...);
    run(buffers.data()..., last, kBlock);
    std::copy_n(last, rest, y + whole);
  };
  padded_run((static_cast<void>(x), std::array<float, kBlock>())...);
}

}  // namespace

void activation(ActivationId f, const TensorView& x, const TensorView& y) {
  const auto run = runs_of(f).value;
  with_type(x.dtype, [&](auto t) {
    using T = decltype(t);
    for_each_run({&y, &x}, kHeavyGrain, [&](const int64_t* at, int64_t n) {
      as_floats(
          n, [run](const float* in, float* out, int64_t size) { in_vectors(run, size, out, in); },
          read(x.as<T>() + at[1]), write(y.as<T>() + at[0]));
    });
  });
}

void activation_backward(ActivationId f, const TensorView& x, const TensorView& dy,
                         const TensorView& dx) {
  const auto run = runs_of(f).derivative;
  with_type(x.dtype, [&](auto t) {
    using T = decltype(t);
    for_each_run({&dx, &x, &dy}, kHeavyGrain, [&](const int64_t* at, int64_t n) {
      as_floats(n, run, read(x.as<T>() + at[1]), read(dy.as<T>() + at[2]),
                write(dx.as<T>() + at[0]));
    });
  });
}

namespace {

// Threads share out units of 64 columns of all rows rather than rows, so that one wide row
// (decoding) and many short ones both split evenly.
template <class F>
void for_each_gated_run(int64_t rows, int64_t width, F&& f) {
  constexpr int64_t kUnit = 64;
  const int64_t units = (width + kUnit - 1) / kUnit;
  parallel_ranges(rows * units, kHeavyGrain / kUnit, [&](Range r, int) {
    for (int64_t i = r.begin; i < r.end;) {
      const int64_t row = i / units, first = i % units;
      const int64_t last = std::min(units, first + r.end - i);
      f(row, first * kUnit, std::min(width, last * kUnit) - first * kUnit);
      i += last - first;
    }
  });
}

}  // namespace

void gated(ActivationId f, const TensorView& x, const TensorView& y) {
  const int64_t width = y.shape[1];
  const auto run = runs_of(f).gated;
  with_type(x.dtype, [&](auto t) {
    using T = decltype(t);
    for_each_gated_run(y.shape[0], width, [&](int64_t row, int64_t at, int64_t n) {
      const T* gate = row_of<T>(x, row) + at;
      as_floats(
          n,
          [run](const float* g, const float* up, float* out, int64_t size) {
            in_vectors(run, size, out, g, up);
          },
          read(gate), read(gate + width), write(row_of<T>(y, row) + at));
    });
  });
}

void gated_backward(ActivationId f, const TensorView& x, const TensorView& dy,
                    const TensorView& dx) {
  const int64_t width = dy.shape[1];
  const auto run = runs_of(f).gated_backward;
  with_type(x.dtype, [&](auto t) {
    using T = decltype(t);
    for_each_gated_run(dy.shape[0], width, [&](int64_t row, int64_t at, int64_t n) {
      const T* gate = row_of<T>(x, row) + at;
      T* dgate = row_of<T>(dx, row) + at;
      const T* upstream = row_of<T>(dy, row) + at;
      as_floats(n, run, read(gate), read(gate + width), read(upstream), write(dgate),
                write(dgate + width));
    });
  });
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
