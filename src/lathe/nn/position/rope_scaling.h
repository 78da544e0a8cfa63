// How rotary frequencies are stretched so that a model can read longer texts than those it was
// trained on. Channel pair i of R/2 rotates by position · frequency[i], unscaled frequency[i] =
// theta^(-2i/R).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lathe/base/catalogue.h"
#include "lathe/config/component.h"

namespace lathe {

// The section [model.position.scaling] of a recipe.
struct RopeScalingConfig {
  std::string kind = "none";
  std::optional<double> factor;  // default: factor_for()
  std::optional<int64_t> original_max_position_embeddings;
  double low_freq_factor = 1.0, high_freq_factor = 4.0;
  double beta_fast = 32.0, beta_slow = 1.0;
  std::optional<double> attention_factor, mscale, mscale_all_dim;
  bool truncate = true;
  std::vector<double> short_factor = {}, long_factor = {};

  void visit(Visitor& v);
  bool stretches() const { return kind != "none"; }
  // Checks the settings for `pairs` pairs of rotating channels.
  void check(int64_t pairs, const KeyErrors& keys) const;
  // How many times longer texts are; `length` is max_position_embeddings.
  double factor_for(int64_t length) const;
  // The factor on scores, in addition to the effect of the attention factor on the rotating
  // channels (DeepSeek): 1 unless the scaling sharpens.
  double temperature_for(int64_t length) const;
};

// For a model that reads `length` tokens.
struct RopeScaling : RopeScalingConfig {
  int64_t length = 0;  // max_position_embeddings

  double stretch() const { return factor_for(length); }
  int64_t original_length() const {  // tokens of the original training
    return original_max_position_embeddings.value_or(length);
  }
};

struct RopeFrequencies {
  std::vector<float> values;      // [R/2]
  double attention_factor = 1.0;  // multiplies cos and sin
};

// A scaling method. `width` is R. `tokens` is the length of the current text, which matters only
// with `by_length`. Values are rounded to f32 where transformers rounds, because models were
// trained with those numbers.
struct RopeStretch {
  RopeFrequencies (*frequencies)(const RopeScaling&, int64_t width, double theta, int64_t tokens);
  bool by_length = false;
  // From max_position_embeddings, which therefore stays the trained length (so does transformers).
  bool measures_limit = false;
  bool measures_origin = false;  // from original_max_position_embeddings
  bool knows_lengths = false;    // the default of factor is the ratio of the lengths
  bool has_divisors = false;     // short_factor and long_factor, a number for each pair
  bool sharpens = false;         // mscale_all_dim counts
};
std::span<const CatalogueEntry<RopeStretch>> rope_scalings();
// Throws kConfig for an unknown name.
const RopeStretch& find_rope_scaling(std::string_view kind);

// 0.1·weight·ln(factor) + 1: the factor by which attention is sharpened for `factor` times the
// length (Peng et al. 2023, arXiv:2309.00071, eq. 22).
double yarn_temperature(double factor, double weight);

}  // namespace lathe
