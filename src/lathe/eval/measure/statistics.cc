#include "lathe/eval/measure/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>

namespace lathe {
namespace {

constexpr double kTail = 0.975;

double normal_quantile(double p) { return quantile(boost::math::normal(), p); }

// Σ over clusters of the square of what its items deviate together, and the number of clusters.
std::pair<double, int64_t> squared_deviations(std::span<const double> deviations,
                                              std::span<const size_t> clusters) {
  std::map<size_t, double> sums;
  for (size_t i = 0; i < deviations.size(); ++i)
    sums[clusters.empty() ? i : clusters[i]] += deviations[i];
  double squares = 0;
  for (const auto& [cluster, sum] : sums) squares += sum * sum;
  return {squares, std::ssize(sums)};
}

std::pair<double, double> wilson(double share, double n) {
  const double z = normal_quantile(kTail), z2 = z * z;
  const double centre = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double half = z / (1 + z2 / n) * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

template <class F>
Estimate mapped(const Estimate& of, F&& f, double slope) {
  Estimate result{.value = f(of.value), .error = {}, .ci95 = {}};
  if (of.error) result.error = *of.error * slope;
  if (of.ci95) result.ci95 = {f(of.ci95->first), f(of.ci95->second)};
  return result;
}

}  // namespace

Estimate ratio_estimate(std::span<const double> values, std::span<const double> weights,
                        std::span<const size_t> clusters) {
  const auto n = static_cast<double>(values.size());
  const double weight = weights.empty() ? n : std::accumulate(weights.begin(), weights.end(), 0.0);
  Estimate result;
  result.value = std::accumulate(values.begin(), values.end(), 0.0) / weight;
  std::vector<double> deviations(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    deviations[i] = values[i] - result.value * (weights.empty() ? 1.0 : weights[i]);
  const auto [squares, groups] = squared_deviations(deviations, clusters);
  if (groups < 2) return result;
  const auto g = static_cast<double>(groups);
  const double error = std::sqrt(g / (g - 1) * squares) / weight;
  result.error = error;
  const double t = quantile(boost::math::students_t(g - 1), kTail);
  result.ci95 = {result.value - t * error, result.value + t * error};
  return result;
}

Estimate share_estimate(std::span<const double> values) {
  Estimate result = ratio_estimate(values);
  if (result.error) result.ci95 = wilson(result.value, static_cast<double>(values.size()));
  return result;
}

Estimate exponential(const Estimate& of) {
  return mapped(
      of, [](double x) { return std::exp(x); }, std::exp(of.value));
}

Estimate in_bits(const Estimate& of) {
  return mapped(
      of, [](double x) { return x / std::numbers::ln2; }, 1 / std::numbers::ln2);
}

double mcnemar_p(int64_t up, int64_t down) {
  const int64_t changed = up + down;
  if (changed == 0) return 1;
  const boost::math::binomial fair(static_cast<double>(changed), 0.5);
  return std::min(1.0, 2 * cdf(fair, static_cast<double>(std::min(up, down))));
}

double paired_t_p(const Estimate& difference, int64_t clusters) {
  if (!difference.error || difference.value == 0) return 1;
  if (*difference.error == 0) return 0;
  const boost::math::students_t law(static_cast<double>(clusters - 1));
  return 2 * cdf(complement(law, std::abs(difference.value / *difference.error)));
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return p[i]; });
  std::vector<double> adjusted(p.size());
  double largest = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    largest = std::max(largest, p[order[rank]] * static_cast<double>(p.size() - rank));
    adjusted[order[rank]] = std::min(1.0, largest);
  }
  return adjusted;
}

double items_for_one_point(double variance_of_difference) {
  constexpr double kPoint = 0.01, kPower = 0.8;
  const double z = normal_quantile(kTail) + normal_quantile(kPower);
  return std::ceil(z * z * variance_of_difference / (kPoint * kPoint));
}

double pass_at_k(int64_t n, int64_t c, int64_t k) {
  if (n - c < k) return 1;
  double none = 1;
  for (int64_t i = n - c + 1; i <= n; ++i)
    none *= 1 - static_cast<double>(k) / static_cast<double>(i);
  return 1 - none;
}

}  // namespace lathe
