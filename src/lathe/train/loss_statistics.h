// The running mean and variance of the loss, by which train.spike_skip knows a spike.
#pragma once

#include <cstdint>

namespace lathe {

struct LossStatistics {
  double mean = 0, variance = 0;
  int64_t count = 0;

  // Whether `loss` lies more than `deviations` standard deviations above the mean; never for 0, and
  // not before there are enough steps for the statistics to mean something.
  bool is_spike(double loss, double deviations) const;
  void add(double loss);
};

}  // namespace lathe
