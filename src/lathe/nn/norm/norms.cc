#include "lathe/nn/norm/norm.h"

namespace lathe {

std::span<const CatalogueEntry<MakeNorm>> norms() {
  static constexpr CatalogueEntry<MakeNorm> kNorms[] = {
      {"rms", "x / rms(x) · w", "Zhang & Sennrich 2019, arXiv:1910.07467", make_rms_norm},
      {"rms_offset", "x / rms(x) · (1 + w)", "Gemma Team 2024, arXiv:2403.08295",
       make_rms_norm_offset},
      {"layer", "(x - mean) / std · w + b", "Ba et al. 2016, arXiv:1607.06450", make_layer_norm},
      {"crms",
       "x / sqrt((sum(x²) + sum(x)²) / (C + 1)) · w: layer norm of [x, -sum(x)] without its last "
       "channel",
       "Jiang et al. 2023, arXiv:2305.14858", make_crms_norm},
      {"none", "x", "Zhang et al. 2019, arXiv:1901.09321 (training without norms)", make_no_norm},
  };
  return kNorms;
}

}  // namespace lathe
