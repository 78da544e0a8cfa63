#include "lathe/ops/log_sum_exp.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();

template <class T>
double log_sum_exp(std::span<const T> row) {
  double max = kNone, sum = 0;
  for (const T x : row) max = std::max(max, static_cast<double>(x));
  if (max == kNone) return std::accumulate(row.begin(), row.end(), 0.0);  // all -inf, or a NaN
  for (const T x : row) sum += std::exp(x - max);
  return max + std::log(sum);
}

}  // namespace

LogSumExp::LogSumExp(const Tensor& logits, const Tensor& labels)
    : values_(static_cast<size_t>(labels.size(0)), 0.0), known_(values_.size(), true) {
  visit_sums(logits.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto width = static_cast<size_t>(logits.size(1));
    for (size_t n = 0; n < values_.size(); ++n) {
      const int32_t label = labels.data<int32_t>()[n];
      if (label < 0) continue;
      const std::span<const T> row(logits.data<T>() + n * width, width);
      values_[n] = row[static_cast<size_t>(label)];
      known_[n] = values_[n] == kNone;
      if (known_[n]) values_[n] = log_sum_exp(row);
    }
  });
}

std::vector<double> LogSumExp::from(const Tensor& losses) {
  const std::vector<double> each = losses.to_vector();
  for (size_t n = 0; n < values_.size(); ++n)
    if (!known_[n]) values_[n] += each[n];
  return std::move(values_);
}

}  // namespace lathe::ops
