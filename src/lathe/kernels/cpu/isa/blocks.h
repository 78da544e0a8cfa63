// Loops over floats for operands of either dtype. Include inside the level.h frame.
//
// A loop that converts bf16 as it goes handles two registers of floats at once, as many as one
// register of bf16 fills; with an exponential in it that is more than sixteen registers hold. So
// bf16 is widened into a buffer that stays in L1, the loop that serves f32 runs on the buffer, and
// its results are rounded from there.
#pragma once

#include "lathe/kernels/cpu/isa/loops.h"
#include "lathe/kernels/cpu/isa/simd.h"

constexpr int64_t kFloatBlock = 256;  // elements: five operands take 5 KiB

template <class From, class To>
LATHE_INLINE void convert_run(const From* from, To* to, int64_t n) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(to + i, load(from + i));
  for (; i < n; ++i) put(to[i], to_float(from[i]));
}

// How a loop uses an operand.
enum class Use { kRead, kWrite, kUpdate };

// Provides an operand's elements as floats, block by block. An operand may be another one as well,
// at the same place: all are read before any is written.
template <class T, Use kUse>
class FloatBlocks {
 public:
  static constexpr bool kIsFloat = std::is_same_v<std::remove_const_t<T>, float>;

  explicit FloatBlocks(T* at) : at_(at) {}
  auto* open(int64_t begin, int64_t n) {
    if constexpr (kIsFloat) return at_ + begin;
    if constexpr (!kIsFloat) {
      if constexpr (kUse != Use::kWrite) {
        convert_run(at_ + begin, buffer_, n);
        fetch(at_ + begin + n);
      }
      return buffer_;
    }
  }
  void close(int64_t begin, int64_t n) {
    if constexpr (!kIsFloat && kUse != Use::kRead) convert_run(buffer_, at_ + begin, n);
  }

 private:
  // Prefetches the next block while the loop works on this one, because the processor's own
  // prefetching is too short to have it in time.
  static void fetch(T* next) {
    for (int64_t i = 0; i < kFloatBlock; i += 64 / static_cast<int64_t>(sizeof(T)))
      __builtin_prefetch(next + i);
  }

  T* at_;
  alignas(64) float buffer_[kIsFloat ? 1 : kFloatBlock];
};

template <class T>
LATHE_INLINE FloatBlocks<const T, Use::kRead> read(const T* at) {
  return FloatBlocks<const T, Use::kRead>(at);
}
template <class T>
LATHE_INLINE FloatBlocks<T, Use::kWrite> write(T* at) {
  return FloatBlocks<T, Use::kWrite>(at);
}
template <class T>
LATHE_INLINE FloatBlocks<T, Use::kUpdate> update(T* at) {
  return FloatBlocks<T, Use::kUpdate>(at);
}

// Calls loop(pointers to floats…, count) until n elements of every operand are done.
template <class F, class... O>
LATHE_INLINE void as_floats(int64_t n, F&& loop, O&&... operands) {
  const int64_t block = (O::kIsFloat && ...) ? n : kFloatBlock;
  for (int64_t i = 0; i < n; i += block) {
    const int64_t size = std::min(block, n - i);
    loop(operands.open(i, size)..., size);
    (operands.close(i, size), ...);
  }
}
