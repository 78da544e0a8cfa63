#include "lathe/nn/position/position.h"

namespace lathe {

std::span<const CatalogueEntry<MakePosition>> positions() {
  static constexpr CatalogueEntry<MakePosition> kPositions[] = {
      {"rope", "queries and keys rotated by their position", "Su et al. 2021, arXiv:2104.09864",
       make_rope},
      {"learned", "a trained vector per position", "Radford et al. 2018 (GPT)",
       make_learned_position},
      {"sinusoidal", "sines and cosines of fixed wavelengths, added to the embedding",
       "Vaswani et al. 2017, arXiv:1706.03762", make_sinusoidal_position},
      {"alibi", "scores fall with the distance, by another slope in each head",
       "Press et al. 2022, arXiv:2108.12409", make_alibi},
      {"t5", "a trained bias for each bucket of distances, the same in every layer",
       "Raffel et al. 2020, arXiv:1910.10683", make_t5_position},
      {"shaw", "trained vectors for each distance, added to keys and to values",
       "Shaw et al. 2018, arXiv:1803.02155", make_shaw_position},
      {"none", "no positions: order is seen only through the causal mask",
       "Kazemnejad et al. 2023, arXiv:2305.19466", make_no_position},
  };
  return kPositions;
}

}  // namespace lathe
