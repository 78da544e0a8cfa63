// The running mean that progress lines, plots and reports show for numbers that vary from step to
// step.
#pragma once

#include <cmath>
#include <limits>

namespace lathe {

// With m starting at 0, for the n-th value x:
//   m ← k·m + (1−k)·x,   value() = m / (1 − kⁿ)
// so that the first values have the right weight, and the mean does not stay above a falling loss
// because it started at the first value (Kingma, Ba 2014, arXiv:1412.6980, section 3).
class RunningMean {
 public:
  // `keep` is k, 0 ≤ k < 1: about the last 1 / (1−k) values count.
  explicit RunningMean(double keep) : keep_(keep) {}

  // A value that is not finite is ignored, because it would make all later means not finite.
  void add(double x) {
    if (!std::isfinite(x)) return;
    mean_ = keep_ * mean_ + (1 - keep_) * x;
    past_ *= keep_;
  }
  // NaN before the first value.
  double value() const {
    return past_ < 1 ? mean_ / (1 - past_) : std::numeric_limits<double>::quiet_NaN();
  }

 private:
  double keep_, mean_ = 0;
  double past_ = 1;  // kⁿ
};

}  // namespace lathe
