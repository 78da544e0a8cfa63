// Several LoRAs combined into one, as PEFT's add_weighted_adapter() does.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/model/adapter/adapter.h"

namespace lathe {

// Each factor of a LoRA is combined with those of the others (a rough approximation), or, for the
// names with "svd", the updates ΔW are, and the result is cut to the rank of the first:
//   linear            Σ w·T
//   cat               the ranks add up; exactly Σ w·ΔW
//   ties              the largest magnitudes of each, of the sign that prevails, averaged (Yadav et
//                     al. 2023, arXiv:2306.01708)
//   dare_linear, dare_ties   a random share of each, scaled up (Yu et al. 2023, arXiv:2311.03099)
//   magnitude_prune   the largest magnitudes of each
// A and B both get √(w · scale), and A the sign of w.
std::span<const std::string_view> combinations();

struct Combination {
  std::string how = "linear";
  std::vector<double> weights;  // of each adapter
  double density = 0.5;         // the share of numbers that pruning keeps
  Rng rng = Rng(0);             // of dare_*
};

// Adapters of `model`. Error kConfig for a name that is none of combinations(), another number of
// weights than adapters, a density outside (0, 1], adapters that are not plain LoRAs of layers and
// tables, and different ranks where factors are combined.
std::unique_ptr<Adapter> combine(std::span<const std::shared_ptr<const Adapter>> adapters,
                                 const Combination& combination, const Transformer& model);

}  // namespace lathe
