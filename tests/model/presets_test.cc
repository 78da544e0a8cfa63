// Presets of papers against the numbers that the papers print.

#include "lathe/model/presets.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lathe/model/summary.h"

namespace lathe::testing {
namespace {

struct Published {
  std::string_view preset;
  double billions;     // as printed
  double tolerance;    // half a unit of the last printed digit
  double missing = 0;  // billions that the preset's summary says it lacks
};

constexpr Published kPublished[] = {
    {"gpt2-124m", 0.124, 0.0005},  // Radford et al. 2019, as their repository corrects 117M
    {"palm-8b", 8.63, 0.005},      // arXiv:2204.02311, Table 1
    {"palm-62b", 62.50, 0.005},
    {"palm-540b", 540.35, 0.01},  // 540.356: cut, not rounded
    {"u-palm-540b", 540, 0.5},    // arXiv:2210.11399
    // arXiv:2112.11446, Table 1, and arXiv:2203.15556, Table 4: a projection of positions of width²
    // in each layer (Dai et al. 2019, arXiv:1901.02860, W_k,R) is part of their models.
    {"gopher-280b", 280, 0.5, 80.0 * 16384 * 16384 / 1e9},
    {"chinchilla-70b", 70, 0.5, 80.0 * 8192 * 8192 / 1e9},
    {"glam-64b-64e", 1200, 50},  // arXiv:2112.06905, Table 4: 1.2T
    // arXiv:2210.02414: the sizes of its Appendix make 128.7B; 130B is a round number.
    {"glm-130b", 130, 1.5},
};

TEST(Presets, HaveAsManyParametersAsPublished) {
  for (const Published& p : kPublished) {
    const Preset& preset = find_preset(p.preset);
    EXPECT_FALSE(preset.published.empty()) << p.preset;
    EXPECT_FALSE(preset.source.empty()) << p.preset;
    const auto count = static_cast<double>(Transformer(preset.config()).parameter_count()) / 1e9;
    EXPECT_NEAR(count + p.missing, p.billions, p.tolerance) << p.preset;
  }
}

TEST(Presets, EveryPublishedOneIsCompared) {
  for (const Preset& preset : presets()) {
    bool compared = false;
    for (const Published& p : kPublished) compared |= p.preset == preset.name;
    EXPECT_EQ(compared, !preset.published.empty()) << preset.name;
  }
}

// arXiv:2112.06905, Table 4: 96.6B are active.
TEST(Presets, ATokenOfGlamMeetsAsManyParametersAsPublished) {
  Transformer model(find_preset("glam-64b-64e").config());
  const ModelCost cost = model_cost(model, {.seq_len = 1024});
  EXPECT_NEAR(static_cast<double>(cost.multiplied) / 1e9, 96.6, 0.05);
}

}  // namespace
}  // namespace lathe::testing
