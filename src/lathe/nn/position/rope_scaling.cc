#include "lathe/nn/position/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lathe {

double yarn_temperature(double factor, double weight) {
  return factor <= 1.0 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0;
}

namespace {

std::vector<float> unscaled(int64_t width, double theta) {
  std::vector<float> frequencies;
  for (int64_t i = 0; i < width / 2; ++i)
    frequencies.push_back(1.0f / std::pow(static_cast<float>(theta),
                                          static_cast<float>(2 * i) / static_cast<float>(width)));
  return frequencies;
}

RopeFrequencies plain(const RopeScaling&, int64_t width, double theta, int64_t) {
  return {unscaled(width, theta)};
}

RopeFrequencies linear(const RopeScaling& s, int64_t width, double theta, int64_t) {
  auto values = unscaled(width, theta);
  for (float& f : values) f /= static_cast<float>(s.stretch());
  return {values};
}

// The base grows so that the slowest channel is stretched by `factor` and the fastest not at all.
double ntk_theta(double theta, double factor, int64_t width) {
  const auto w = static_cast<double>(width);
  return theta * std::pow(factor, w / (w - 2.0));
}

RopeFrequencies ntk(const RopeScaling& s, int64_t width, double theta, int64_t) {
  return {unscaled(width, ntk_theta(theta, s.stretch(), width))};
}

RopeFrequencies dynamic(const RopeScaling& s, int64_t width, double theta, int64_t tokens) {
  const auto trained = static_cast<double>(s.length);
  const double reached = std::max(static_cast<double>(tokens), trained);
  const double factor = s.stretch();
  return {unscaled(width, ntk_theta(theta, factor * reached / trained - (factor - 1.0), width))};
}

RopeFrequencies llama3(const RopeScaling& s, int64_t width, double theta, int64_t) {
  auto values = unscaled(width, theta);
  const auto original = static_cast<double>(s.original_length());
  const double factor = s.stretch();
  const double longest = original / s.low_freq_factor, shortest = original / s.high_freq_factor;
  for (float& f : values) {
    const double wavelength = 2.0 * std::numbers::pi / static_cast<double>(f);
    if (wavelength < shortest) continue;
    if (wavelength > longest) {
      f = static_cast<float>(static_cast<double>(f) / factor);
      continue;
    }
    const double keep =
        (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
    f = static_cast<float>((1.0 - keep) * static_cast<double>(f) / factor +
                           keep * static_cast<double>(f));
  }
  return {values};
}

double yarn_attention_factor(const RopeScaling& s) {
  if (s.attention_factor) return *s.attention_factor;
  if (s.mscale.value_or(0) > 0 && s.mscale_all_dim.value_or(0) > 0)
    return yarn_temperature(s.stretch(), *s.mscale) /
           yarn_temperature(s.stretch(), *s.mscale_all_dim);
  return yarn_temperature(s.stretch(), 1.0);
}

RopeFrequencies yarn(const RopeScaling& s, int64_t width, double theta, int64_t) {
  // The channel that turns `turns` times within the original length.
  const auto channel_of = [&](double turns) {
    return static_cast<double>(width) *
           std::log(static_cast<double>(s.original_length()) / (turns * 2.0 * std::numbers::pi)) /
           (2.0 * std::log(theta));
  };
  double low = channel_of(s.beta_fast), high = channel_of(s.beta_slow);
  if (s.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(width - 1));
  if (low == high) high += 0.001;  // a step instead of a ramp
  RopeFrequencies out{unscaled(width, theta), yarn_attention_factor(s)};
  const double factor = s.stretch();
  for (size_t i = 0; i < out.values.size(); ++i) {
    const double stretched = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    const auto f = static_cast<double>(out.values[i]);
    out.values[i] = static_cast<float>(f / factor * stretched + f * (1.0 - stretched));
  }
  return out;
}

RopeFrequencies longrope(const RopeScaling& s, int64_t width, double theta, int64_t tokens) {
  RopeFrequencies out{unscaled(width, theta)};
  const auto& divisors = tokens > s.original_length() ? s.long_factor : s.short_factor;
  for (size_t i = 0; i < out.values.size(); ++i) out.values[i] /= static_cast<float>(divisors[i]);
  const double factor = s.stretch(), original = static_cast<double>(s.original_length());
  out.attention_factor = s.attention_factor.value_or(
      factor <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(factor) / std::log(original)));
  return out;
}

}  // namespace

std::span<const CatalogueEntry<RopeStretch>> rope_scalings() {
  static constexpr CatalogueEntry<RopeStretch> kScalings[] = {
      {"none", "no scaling", "Su et al. 2021, arXiv:2104.09864", {plain}},
      {"linear",
       "every position divided by factor",
       "Chen et al. 2023, arXiv:2306.15595",
       {linear}},
      {"ntk",
       "theta·factor^(R/(R-2)): slow channels stretched, fast ones kept",
       "bloc97 2023, NTK-aware scaling; Peng et al. 2023, arXiv:2309.00071",
       {ntk}},
      {"dynamic",
       "ntk with the factor that the current text needs",
       "emozilla 2023, dynamic NTK; Peng et al. 2023, arXiv:2309.00071",
       {.frequencies = dynamic, .by_length = true, .measures_limit = true}},
      {"yarn",
       "a ramp between kept and stretched channels, and sharper attention",
       "Peng et al. 2023, arXiv:2309.00071",
       {.frequencies = yarn, .measures_origin = true, .knows_lengths = true, .sharpens = true}},
      {"llama3",
       "long wavelengths divided by factor, short ones kept, a ramp between",
       "Grattafiori et al. 2024, arXiv:2407.21783",
       {.frequencies = llama3, .measures_origin = true}},
      {"longrope",
       "a divisor for every channel, one set for short texts, one for long",
       "Ding et al. 2024, arXiv:2402.13753",
       {.frequencies = longrope, .by_length = true, .knows_lengths = true, .has_divisors = true}},
  };
  return kScalings;
}

const RopeStretch& find_rope_scaling(std::string_view kind) {
  return find_in(rope_scalings(), "position.scaling.kind", kind).make;
}

void RopeScalingConfig::visit(Visitor& v) {
  v.choice("kind", kind, names_of(rope_scalings()),
           "how rotary frequencies are stretched beyond the trained length");
  v.field("factor", factor,
          "how many times longer the context is; default for yarn and longrope "
          "max_position_embeddings / original_max_position_embeddings, for others 1",
          at_least(1));
  v.field("original_max_position_embeddings", original_max_position_embeddings,
          "the length of the original training; default max_position_embeddings", at_least(1));
  v.field("low_freq_factor", low_freq_factor,
          "llama3: wavelengths above original / this are fully stretched", above(0));
  v.field("high_freq_factor", high_freq_factor,
          "llama3: wavelengths below original / this are not stretched", above(0));
  v.field("beta_fast", beta_fast, "yarn: channels with more rotations than this are not stretched",
          above(0));
  v.field("beta_slow", beta_slow,
          "yarn: channels with fewer rotations than this are fully stretched", above(0));
  v.field("attention_factor", attention_factor,
          "yarn, longrope: multiplies cos and sin; default from factor", above(0));
  v.field("mscale", mscale, "yarn: weight of ln(factor) in the attention factor (DeepSeek)",
          at_least(0));
  v.field("mscale_all_dim", mscale_all_dim,
          "yarn: the same for the part that is applied to the scores instead", at_least(0));
  v.field("truncate", truncate, "yarn: round the borders of the ramp to whole channels");
  v.field("short_factor", short_factor, "longrope: divisor of each frequency for short texts",
          above(0));
  v.field("long_factor", long_factor, "longrope: divisor of each frequency for long texts",
          above(0));
}

void RopeScalingConfig::check(int64_t pairs, const KeyErrors& keys) const {
  if (!find_rope_scaling(kind).has_divisors) return;
  for (const auto& [key, list] :
       {std::pair{"short_factor", &short_factor}, {"long_factor", &long_factor}})
    if (static_cast<int64_t>(list->size()) != pairs)
      keys.refuse(key,
                  fmt::format("{} numbers, but {} pairs of channels rotate; give one for each pair",
                              list->size(), pairs));
}

double RopeScalingConfig::factor_for(int64_t length) const {
  if (factor) return *factor;
  if (!find_rope_scaling(kind).knows_lengths) return 1.0;
  return static_cast<double>(length) /
         static_cast<double>(original_max_position_embeddings.value_or(length));
}

double RopeScalingConfig::temperature_for(int64_t length) const {
  if (!find_rope_scaling(kind).sharpens || mscale_all_dim.value_or(0) == 0) return 1.0;
  return yarn_temperature(factor_for(length), *mscale_all_dim);
}

}  // namespace lathe
