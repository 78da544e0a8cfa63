#include "lathe/nn/norm/placement.h"

#include <cmath>

namespace lathe {

std::span<const CatalogueEntry<NormPlacement>> norm_placements() {
  static constexpr CatalogueEntry<NormPlacement> kPlacements[] = {
      {"pre", "x + f(norm(x))", "Xiong et al. 2020, arXiv:2002.04745", {.before = true}},
      {"post", "norm(x + f(x))", "Vaswani et al. 2017, arXiv:1706.03762", {.after_sum = true}},
      {"sandwich",
       "x + norm(f(norm(x)))",
       "Ding et al. 2021, arXiv:2105.13290",
       {.before = true, .after_branch = true}},
      {"branch", "x + norm(f(x)) (OLMo 2)", "OLMo 2025, arXiv:2501.00656", {.after_branch = true}},
      {"deepnorm",
       "norm(alpha·x + f(x)), with alpha and the initial scale from the depth",
       "Wang et al. 2022, arXiv:2203.00555",
       {.after_sum = true, .deep = true}},
      {"glm",
       "alpha·y + f(y) with y = norm(x): DeepNorm as in GLM-130B, alpha = sqrt(2L)",
       "Zeng et al. 2022, arXiv:2210.02414",
       {.before = true, .deep = true, .keeps_normed = true}},
  };
  return kPlacements;
}

DeepNormConstants deep_norm(int64_t layers) {
  const auto depth = static_cast<double>(layers);
  return {std::pow(2.0 * depth, 0.25), std::pow(8.0 * depth, -0.25)};
}

DeepNormConstants deep_norm_of_encoder(int64_t encoder_layers, int64_t decoder_layers) {
  const auto n = static_cast<double>(encoder_layers), m = static_cast<double>(decoder_layers);
  const double root = std::pow(n * n * n * n * m, 1.0 / 16.0);
  return {0.81 * root, 0.87 / root};
}

DeepNormConstants deep_norm_of_decoder(int64_t decoder_layers) {
  const auto m = static_cast<double>(decoder_layers);
  return {std::pow(3.0 * m, 0.25), std::pow(12.0 * m, -0.25)};
}

DeepNormConstants deep_norm_of_glm(int64_t layers) {
  const auto depth = static_cast<double>(layers);
  return {std::sqrt(2.0 * depth), 1.0 / std::sqrt(2.0 * depth)};
}

}  // namespace lathe
