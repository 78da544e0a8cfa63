// The placement of norms around a branch y = f(x) of a block.
#pragma once

#include <span>
#include <string_view>

#include "lathe/base/catalogue.h"

namespace lathe {

struct NormPlacement {
  bool before = false;        // the branch reads norm(x)
  bool after_branch = false;  // norm(y) is added
  bool after_sum = false;     // the sum is normalised
  bool deep = false;          // DeepNorm's constants, see deep_norm()
  bool keeps_normed = false;  // the residual is norm(x), not x

  bool is_plain() const {
    return before && !after_branch && !after_sum && !deep;
  }  // x + f(norm(x))
};

std::span<const CatalogueEntry<NormPlacement>> norm_placements();

// DeepNorm (Wang et al. 2022, arXiv:2203.00555): x = norm(alpha·x + f(x)), and the initial weights
// of values, attention outputs and feed-forward layers are multiplied by beta. For L layers of only
// a decoder or an encoder
//   alpha = (2·L)^(1/4), beta = (8·L)^(-1/4),
// and for an encoder of N layers with a decoder of M
//   encoder  alpha = 0.81·(N^4·M)^(1/16), beta = 0.87·(N^4·M)^(-1/16)
//   decoder  alpha = (3·M)^(1/4), beta = (12·M)^(-1/4).
// GLM-130B (Zeng et al. 2022, arXiv:2210.02414) has a norm before every branch and one at the end,
// y = norm(x), x = alpha·y + f(y), which is DeepNorm with an additional norm after the embedding;
// for L layers
//   alpha = (2·L)^(1/2), beta = (2·L)^(-1/2).
struct DeepNormConstants {
  double alpha = 1.0, beta = 1.0;
};
DeepNormConstants deep_norm(int64_t layers);
DeepNormConstants deep_norm_of_encoder(int64_t encoder_layers, int64_t decoder_layers);
DeepNormConstants deep_norm_of_decoder(int64_t decoder_layers);
DeepNormConstants deep_norm_of_glm(int64_t layers);

}  // namespace lathe
