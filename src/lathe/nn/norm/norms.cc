#include "lathe/nn/norm/norm.h"

namespace lathe {

std::span<const CatalogueEntry<MakeNorm>> norms() {
  static constexpr CatalogueEntry<MakeNorm> kNorms[] = {
      {"rms", "x / rms(x) · w", "Zhang & Sennrich 2019, arXiv:1910.07467", make_rms_norm},
      {"layer", "(x - mean) / std · w + b", "Ba et al. 2016, arXiv:1607.06450", make_layer_norm},
  };
  return kNorms;
}

}  // namespace lathe
