// Filters and penalties give what the logits processors of transformers give: the same tokens kept,
// the same probabilities. Goldens: tools/make_sampler_goldens.py.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "lathe/config/read_write.h"
#include "lathe/infer/sampler/probabilities.h"
#include "lathe/infer/sampler/samplers.h"
#include "paths.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

TEST(SamplerGoldens, EqualTransformers) {
  std::ifstream file(testing::tests_folder() / "infer/goldens/samplers.json");
  ASSERT_TRUE(file.is_open());
  const Json goldens = Json::parse(file);
  ASSERT_EQ(goldens["cases"].size(), 48u);
  for (const Json& c : goldens["cases"]) {
    SCOPED_TRACE(c["config"].dump());
    GenerationConfig config;
    read_config(config, c["config"], "golden");
    auto logits = c["logits"].get<std::vector<float>>();
    const auto ids = c["history"].get<std::vector<int32_t>>();
    const auto all = std::span<const int32_t>(ids);
    // Where prompt ends and answer begins makes no difference to any of these.
    const TokenHistory history{all.first(15), all.subspan(15)};
    SamplerState state;
    const Rng rng(0);
    for (const SamplerInfo& s : kSamplers)
      if (s.active(config)) s.apply(config, {history, rng, state}, logits);

    std::vector<int32_t> kept;
    std::vector<double> probability;
    for (const Probability& p : probabilities(logits)) {
      kept.push_back(p.id);
      probability.push_back(p.value);
    }
    ASSERT_EQ(kept, c["kept"].get<std::vector<int32_t>>());
    const auto expected = c["probabilities"].get<std::vector<double>>();
    for (size_t i = 0; i < kept.size(); ++i)
      EXPECT_NEAR(probability[i], expected[i], 2e-6 + 2e-6 * expected[i]) << "token " << kept[i];
  }
}

}  // namespace
}  // namespace lathe
