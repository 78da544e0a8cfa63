// A block of random words serves four elements; 64 blocks at a time are made in one vector loop.
#include <algorithm>
#include <cmath>

#include "lathe/base/parallel.h"
#include "lathe/base/rng.h"
#include "lathe/kernels/cpu/isa/isa.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/loops.h"
namespace {

constexpr int64_t kBlocks = 64;
constexpr int64_t kWords = 4 * kBlocks;

// words[4i + j] = word j of block first + i.
void random_words(const Rng& rng, uint64_t first, uint32_t* words) {
  uint32_t c0[kBlocks], c1[kBlocks], c2[kBlocks] = {}, c3[kBlocks] = {};
  for (int64_t i = 0; i < kBlocks; ++i) {
    const uint64_t counter = first + static_cast<uint64_t>(i);
    c0[i] = static_cast<uint32_t>(counter);
    c1[i] = static_cast<uint32_t>(counter >> 32);
  }
  auto k0 = static_cast<uint32_t>(rng.key()), k1 = static_cast<uint32_t>(rng.key() >> 32);
  for (int round = 0; round < Rng::kRounds; ++round) {
#pragma omp simd
    for (int64_t i = 0; i < kBlocks; ++i) Rng::round(c0[i], c1[i], c2[i], c3[i], k0, k1);
    k0 += Rng::kKeyStep0;
    k1 += Rng::kKeyStep1;
  }
#pragma omp simd
  for (int64_t i = 0; i < kBlocks; ++i) {
    words[4 * i] = c0[i];
    words[4 * i + 1] = c1[i];
    words[4 * i + 2] = c2[i];
    words[4 * i + 3] = c3[i];
  }
}

template <class T>
void drop_run(const T* x, const uint32_t* words, uint32_t threshold, float factor, T* out,
              int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i)
    put(out[i], (words[i] >> 8) >= threshold ? to_float(x[i]) * factor : 0.0f);
}

}  // namespace

void dropout(const TensorView& x, const TensorView& out, double p, uint64_t key) {
  const Rng rng = Rng::from_key(key);
  // uniform is k / 2^24 with an integer k, so uniform >= p is k >= p·2^24, rounded up.
  const auto threshold = static_cast<uint32_t>(std::ceil(std::clamp(p, 0.0, 1.0) * 16777216.0));
  const auto factor = static_cast<float>(1.0 / (1.0 - p));
  const int64_t total = out.numel();
  with_type(x.dtype, [&](auto t) {
    using T = decltype(t);
    parallel_for((total + kWords - 1) / kWords, kHeavyGrain / kWords, [&](int64_t chunk) {
      uint32_t words[kWords];
      random_words(rng, static_cast<uint64_t>(chunk * kBlocks), words);
      const int64_t begin = chunk * kWords, n = std::min(kWords, total - begin);
      drop_run(x.as<const T>() + begin, words, threshold, factor, out.as<T>() + begin, n);
    });
  });
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
