#include "lathe/nn/position/position.h"

namespace lathe {

std::span<const CatalogueEntry<MakePosition>> positions() {
  static constexpr CatalogueEntry<MakePosition> kPositions[] = {
      {"rope", "queries and keys rotated by their position", "Su et al. 2021, arXiv:2104.09864",
       make_rope},
      {"learned", "a trained vector per position", "Radford et al. 2018 (GPT)",
       make_learned_position},
      {"none", "no positions: order is seen only through the causal mask",
       "Kazemnejad et al. 2023, arXiv:2305.19466", make_no_position},
  };
  return kPositions;
}

}  // namespace lathe
