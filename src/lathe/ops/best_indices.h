// The largest of a row.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace lathe::ops {

// Indices of the k largest of `size` values, the largest first and the lower index first among
// equals; k at most size.
template <class T>
void best_indices(const T* values, int64_t size, int64_t k, int32_t* out) {
  std::vector<int32_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int32_t a, int32_t b) {
    return values[a] > values[b] || (values[a] == values[b] && a < b);
  });
  std::copy_n(order.begin(), k, out);
}

}  // namespace lathe::ops
