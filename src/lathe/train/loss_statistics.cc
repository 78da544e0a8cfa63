#include "lathe/train/loss_statistics.h"

#include <algorithm>
#include <cmath>

namespace lathe {

bool LossStatistics::is_spike(double loss, double deviations) const {
  constexpr int64_t kEnough = 20;
  return deviations > 0 && count >= kEnough && loss > mean + deviations * std::sqrt(variance);
}

void LossStatistics::add(double loss) {
  constexpr double kMemory = 0.02;  // about the last fifty steps
  const double weight = std::max(kMemory, 1.0 / static_cast<double>(++count));
  const double difference = loss - mean;
  mean += weight * difference;
  variance = (1.0 - weight) * (variance + weight * difference * difference);
}

}  // namespace lathe
