// How rotary frequencies are stretched so that a model reads texts longer than those it was trained
// on. Channel pair i of R/2 turns by position · frequency[i], unscaled frequency[i] = theta^(-2i/R).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lathe/base/catalogue.h"

namespace lathe {

struct RopeScaling {
  std::string kind = "none";
  double factor = 1.0;
  int64_t original_length = 0;                           // tokens of the first training
  int64_t length = 0;                                    // max_position_embeddings
  double low_freq_factor = 1.0, high_freq_factor = 4.0;  // llama3
  double beta_fast = 32.0, beta_slow = 1.0;              // yarn
  std::optional<double> attention_factor, mscale, mscale_all_dim;
  bool truncate = true;
  std::vector<double> short_factor = {}, long_factor = {};  // longrope, R/2 numbers each
};

struct RopeFrequencies {
  std::vector<float> values;      // [R/2]
  double attention_factor = 1.0;  // multiplies cos and sin
};

// A way of stretching. `width` is R. `tokens` is the length of the text at hand, which matters only
// where `by_length` says so. Rounded to f32 at the places where transformers rounds, because models
// were trained with those numbers.
struct RopeStretch {
  RopeFrequencies (*frequencies)(const RopeScaling&, int64_t width, double theta, int64_t tokens);
  bool by_length = false;
};
std::span<const CatalogueEntry<RopeStretch>> rope_scalings();

// 0.1·weight·ln(factor) + 1: how much sharper attention becomes over `factor` times the length
// (Peng et al. 2023, arXiv:2309.00071, eq. 22).
double yarn_temperature(double factor, double weight);

}  // namespace lathe
