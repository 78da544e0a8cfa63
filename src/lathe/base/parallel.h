// Parallel loops over one OpenMP pool, shared with oneDNN.
//
// Work is split into contiguous ranges by the number of threads alone, so what a thread computes is
// a pure function of (n, thread count): reductions that add per-thread partial results in thread
// order give the same bits every time. Loops inside a parallel region run serially.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>

namespace lathe {

inline int thread_count() { return omp_in_parallel() ? 1 : omp_get_max_threads(); }
inline void set_thread_count(int n) { omp_set_num_threads(n); }

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

// Part `i` of `parts` nearly equal contiguous parts of [0, n).
inline Range part_of(int64_t n, int64_t i, int64_t parts) {
  const int64_t each = n / parts, rest = n % parts;
  const int64_t begin = i * each + std::min(i, rest);
  return {begin, begin + each + (i < rest ? 1 : 0)};
}

// f(Range, thread) for a partition of [0, n) into at most thread_count() parts of at least `grain`
// elements each. An exception thrown by f is rethrown once every part has ended.
template <class F>
void parallel_ranges(int64_t n, int64_t grain, F&& f) {
  if (n <= 0) return;
  const int64_t parts = std::clamp<int64_t>(n / std::max<int64_t>(grain, 1), 1, thread_count());
  if (parts == 1) return f(Range{0, n}, 0);
  std::exception_ptr error;
#pragma omp parallel num_threads(static_cast <int>(parts))
  {
    const int thread = omp_get_thread_num();
    try {
      f(part_of(n, thread, parts), thread);
    } catch (...) {  // an exception must not leave a parallel region; the first is rethrown below
#pragma omp critical(lathe_parallel_error)
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

// f(i) for i in [0, n), in parallel; `grain` is the fewest iterations worth a thread.
template <class F>
void parallel_for(int64_t n, int64_t grain, F&& f) {
  parallel_ranges(n, grain, [&](Range r, int) {
    for (int64_t i = r.begin; i < r.end; ++i) f(i);
  });
}

// f(i, thread) for i in [0, n) of uneven cost: threads take the next i as they become free. What
// runs on which thread varies, so each i must write only what it alone owns. Exceptions as above.
template <class F>
void parallel_dynamic(int64_t n, F&& f) {
  if (n <= 0) return;
  const int threads = static_cast<int>(std::min<int64_t>(n, thread_count()));
  std::exception_ptr error;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t i = 0; i < n; ++i) {
    try {
      f(i, omp_get_thread_num());
    } catch (...) {  // as above
#pragma omp critical(lathe_parallel_error)
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace lathe
