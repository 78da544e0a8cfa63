// One pass over everything that belongs to a parameter.
#include <algorithm>
#include <cmath>

#include "lathe/base/parallel.h"
#include "lathe/kernels/cpu/isa/isa.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/loops.h"
namespace {

struct Pointers {
  float* w;
  const float* g;
  float *m, *v;
};

// kCopy false: `copy` is not looked at.
template <bool kCopy, class C>
void adamw_run(const Pointers& p, C* copy, const AdamWSpec& spec, int64_t n) {
  float *w = p.w, *m = p.m, *v = p.v;
  const float* g = p.g;
  const auto f32 = [](double x) { return static_cast<float>(x); };
  const float beta2 = f32(spec.beta2), eps = f32(spec.eps);
  const float one_minus_beta1 = f32(1.0 - spec.beta1), one_minus_beta2 = f32(1.0 - spec.beta2);
  const float step = f32(spec.lr / spec.correction1),
              decay = f32(1.0 - spec.lr * spec.weight_decay);
  const float inverse_root = f32(1.0 / std::sqrt(spec.correction2)),
              grad_scale = f32(spec.grad_scale);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float gradient = g[i] * grad_scale;
    const float first =
        m[i] + one_minus_beta1 * (gradient - m[i]);  // the two weights add up to 1 exactly
    const float second = beta2 * v[i] + one_minus_beta2 * gradient * gradient;
    const float updated = w[i] * decay - step * first / (std::sqrt(second) * inverse_root + eps);
    m[i] = first;
    v[i] = second;
    w[i] = updated;
    if constexpr (kCopy) put(copy[i], updated);
  }
}

}  // namespace

void adamw(const TensorView& w, const TensorView& g, const TensorView& m, const TensorView& v,
           const TensorView& copy, const AdamWSpec& spec) {
  parallel_ranges(w.numel(), kHeavyGrain, [&](Range r, int) {
    const Pointers p{w.as<float>() + r.begin, g.as<float>() + r.begin, m.as<float>() + r.begin,
                     v.as<float>() + r.begin};
    if (!copy) return adamw_run<false, float>(p, nullptr, spec, r.size());
    with_type(copy.dtype, [&](auto t) {
      adamw_run<true>(p, copy.as<decltype(t)>() + r.begin, spec, r.size());
    });
  });
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
