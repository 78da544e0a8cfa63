// Where norms stand around a branch y = f(x) of a block.
#pragma once

#include <span>
#include <string_view>

#include "lathe/nn/catalogue.h"

namespace lathe {

struct NormPlacement {
  bool before = false;        // the branch reads norm(x)
  bool after_branch = false;  // norm(y) is added
  bool after_sum = false;     // the sum is normalised
  bool deep = false;          // DeepNorm's constants, see deep_norm()
};

std::span<const CatalogueEntry<NormPlacement>> norm_placements();

// DeepNorm (Wang et al. 2022, arXiv:2203.00555): x = norm(alpha·x + f(x)), and the fresh weights of
// values, attention outputs and feed-forward layers are multiplied by beta. Both depend on the
// number of layers of a decoder or an encoder alone: alpha = (2·L)^(1/4), beta = (8·L)^(-1/4).
struct DeepNormConstants {
  double alpha = 1.0, beta = 1.0;
};
DeepNormConstants deep_norm(int64_t layers);

}  // namespace lathe
