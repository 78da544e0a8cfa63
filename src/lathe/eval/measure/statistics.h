// How far a measured number may be from the one that more items would give.
//
// An estimate is the ratio R = Σ x / Σ w over items; with all weights 1 it is the mean. Its standard error is
//   s = √(G/(G−1) · Σ_g (Σ_{i∈g} (x_i − R·w_i))²) / Σ w
// over G clusters of items that share a text (Liang and Zeger 1986; Miller 2024, arXiv:2411.00640); each item is a cluster
// of its own where none are given, and s then is the sample deviation over √n. The interval is R ± t·s with the quantile
// of Student's t for G − 1 degrees of freedom.
//
// All functions are pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace lathe {

struct Estimate {
  double value = 0;
  std::optional<double> error;                    // standard error; none for a single cluster
  std::optional<std::pair<double, double>> ci95;  // where there is an error
};

// x_i, w_i, and the number of each item's cluster; `weights` and `clusters` may be empty. At least one item.
Estimate ratio_estimate(std::span<const double> values, std::span<const double> weights = {},
                        std::span<const size_t> clusters = {});

// Right or wrong.
inline bool is_verdict(double x) { return x == 0 || x == 1; }

// Of items that are right (1) or wrong (0), each its own cluster: the same value and error, and Wilson's interval (1927),
// which also says something where all or none are right.
Estimate share_estimate(std::span<const double> values);

// The same of e^R and of R/ln 2, whose errors follow by the delta method.
Estimate exponential(const Estimate& of);
Estimate in_bits(const Estimate& of);

// Whether b is another number than a, where `up` of the items are right in b alone, and `down` in a alone: the exact
// two-sided test of McNemar (1947).
double mcnemar_p(int64_t up, int64_t down);
// The two-sided test of a mean of differences against 0 by Student's t; 1 where all are 0.
double paired_t_p(const Estimate& difference, int64_t clusters);
// Adjusted for all of them being tried (Holm 1979), in the given order.
std::vector<double> holm(std::span<const double> p);

// How many items show a difference of 0.01 with a power of 80 % at the level of 5 %: (1.96 + 0.84)² · variance / 0.01².
double items_for_one_point(double variance_of_difference);

// 1 − C(n−c, k) / C(n, k): whether one of k drawn of n samples is right where c are (Chen et al. 2021,
// arXiv:2107.03374). 1 ≤ k ≤ n.
double pass_at_k(int64_t n, int64_t c, int64_t k);

}  // namespace lathe
