// The running mean and variance of the loss, with which train.spike_skip detects a spike.
#pragma once

#include <cstdint>

namespace lathe {

struct LossStatistics {
  double mean = 0, variance = 0;
  int64_t count = 0;

  // Whether `loss` is more than `deviations` standard deviations above the mean; never for 0, nor
  // before there have been enough steps for meaningful statistics.
  bool is_spike(double loss, double deviations) const;
  void add(double loss);
};

}  // namespace lathe
