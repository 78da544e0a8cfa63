// The keys of AdaLoRA (Zhang et al. 2023, arXiv:2303.10512), which its kind (kinds/adalora.cc) and
// the loss and the schedule of ranks read.
#pragma once

#include <optional>

#include "lathe/config/visit.h"

namespace lathe {

struct AdaLoraConfig {
  int64_t init_r = 12, target_r = 8;
  int64_t tinit = 0, tfinal = 0, delta_t = 1;
  double beta1 = 0.85, beta2 = 0.85, orth_reg_weight = 0.5;
  std::optional<int64_t> total_step;

  void visit(Visitor& v);
};

}  // namespace lathe
