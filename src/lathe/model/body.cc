#include "lathe/model/body.h"

namespace lathe {

std::span<const CatalogueEntry<Body>> bodies() {
  static constexpr CatalogueEntry<Body> kBodies[] = {
      {"decoder", "every token attends to those before it and predicts the next one",
       "Radford et al. 2019 (GPT-2)", Body{}},
      {"prefix_decoder",
       "the same, but the tokens of a prefix attend to each other",
       "Raffel et al. 2020, arXiv:1910.10683; Du et al. 2022, arXiv:2103.10360",
       {.prefix = true}},
      {"encoder_decoder",
       "an encoder that attends to its whole text, and a decoder that attends to the encoder's "
       "output",
       "Vaswani et al. 2017, arXiv:1706.03762; Raffel et al. 2020, arXiv:1910.10683",
       {.encoder = true}},
      {"encoder",
       "every token attends to every other; hidden tokens are predicted in place",
       "Devlin et al. 2019, arXiv:1810.04805",
       {.causal = false}},
  };
  return kBodies;
}

}  // namespace lathe
