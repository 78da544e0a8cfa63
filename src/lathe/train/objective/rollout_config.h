// How rollouts are drawn: keys that every objective of rollouts has.
#pragma once

#include <cstdint>

#include "lathe/config/visit.h"

namespace lathe {

struct RolloutConfig {
  int64_t num_generations = 8;
  int64_t max_completion_length = 256;
  double temperature = 1.0;
  void visit(Visitor& v);
};

}  // namespace lathe
