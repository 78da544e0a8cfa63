#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/config/read_write.h"
#include "lathe/infer/sampler/chain.h"

namespace lathe {
namespace {

using Row = std::vector<float>;
using Ids = std::vector<int32_t>;
using Json = nlohmann::ordered_json;

const Row kRow = {static_cast<float>(std::log(0.5)), static_cast<float>(std::log(0.3)),
                  static_cast<float>(std::log(0.15)), static_cast<float>(std::log(0.05))};

int32_t next(const SamplerChain& chain, Row row, uint64_t i, const Ids& prompt = {},
             const Ids& generated = {}) {
  SamplerState state;
  return chain.next(row, {prompt, generated}, Rng(1).fork(0).fork(i), state);
}

std::vector<double> frequencies(const GenerationConfig& config, int draws) {
  const SamplerChain chain(config);
  std::vector<double> f(kRow.size(), 0.0);
  for (int i = 0; i < draws; ++i)
    f[static_cast<size_t>(next(chain, kRow, static_cast<uint64_t>(i)))] += 1.0 / draws;
  return f;
}

ErrorKind kind_of(const GenerationConfig& config, Row row, const Ids& generated = {}) {
  try {
    SamplerState state;
    SamplerChain(config).next(row, {{}, generated}, Rng(1), state);
  } catch (const Error& e) {
    return e.kind();
  }
  ADD_FAILURE() << "no error";
  return ErrorKind::kUsage;
}

// 20,000 draws: a standard deviation is at most 0.0035; the bound is five of them.
TEST(SamplerChain, DrawsFromTheSoftmax) {
  const auto f = frequencies({}, 20'000);
  EXPECT_NEAR(f[0], 0.5, 0.018);
  EXPECT_NEAR(f[1], 0.3, 0.018);
  EXPECT_NEAR(f[2], 0.15, 0.018);
  EXPECT_NEAR(f[3], 0.05, 0.018);
}

TEST(SamplerChain, TemperatureSquaresAtOneHalf) {
  const auto f = frequencies({.temperature = 0.5}, 20'000);  // 0.25, 0.09, 0.0225, 0.0025 of 0.365
  EXPECT_NEAR(f[0], 0.6849, 0.018);
  EXPECT_NEAR(f[1], 0.2466, 0.018);
  EXPECT_NEAR(f[3], 0.0068, 0.005);
}

TEST(SamplerChain, FiltersRenormalise) {
  const auto f = frequencies({.top_k = 2}, 20'000);
  EXPECT_NEAR(f[0], 0.625, 0.018);
  EXPECT_NEAR(f[1], 0.375, 0.018);
  EXPECT_EQ(f[2] + f[3], 0.0);
}

TEST(SamplerChain, EqualStreamsGiveEqualTokens) {
  const SamplerChain chain({.temperature = 1.3, .top_p = 0.95});
  std::set<int32_t> seen;
  for (uint64_t i = 0; i < 100; ++i) {
    const int32_t a = next(chain, kRow, i);
    EXPECT_EQ(a, next(chain, kRow, i));
    seen.insert(a);
  }
  EXPECT_GE(seen.size(), 3u);
}

TEST(SamplerChain, GreedyTakesTheLargestAfterPenalties) {
  const SamplerChain plain({.temperature = 0, .top_k = 1, .min_p = 1.0});
  EXPECT_EQ(next(plain, {1, 4, 4, 2}, 0), 1);
  const SamplerChain frequency({.temperature = 0, .frequency_penalty = 1.0});
  EXPECT_EQ(next(frequency, {1, 4, 3.5f, 2}, 0, {1, 1, 1}, {1}), 2);
  EXPECT_EQ(next(frequency, {1, 4, 3.5f, 2}, 0, {1, 1, 1}, {}), 1) << "the prompt does not count";
  const SamplerChain ngram({.temperature = 0, .no_repeat_ngram_size = 2});
  EXPECT_EQ(next(ngram, {1, 4, 3.5f, 2}, 0, {0, 1}, {0}), 2);
}

TEST(SamplerChain, FiltersSeeTheRowAfterTheTemperature) {
  // At temperature 1 the first token alone has 0.5; flattened, it takes two to reach 0.5.
  const auto sharp = frequencies({.top_p = 0.49}, 500),
             flat = frequencies({.temperature = 3, .top_p = 0.49}, 500);
  EXPECT_NEAR(sharp[0], 1.0, 1e-9);
  EXPECT_GT(flat[1], 0.1);
  EXPECT_EQ(flat[2], 0.0);
}

TEST(SamplerChain, BrokenLogitsAreErrors) {
  const float inf = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  for (const double t : {0.0, 1.0}) {
    EXPECT_EQ(kind_of({.temperature = t}, {1, nan}), ErrorKind::kNumeric);
    EXPECT_EQ(kind_of({.temperature = t}, {inf, 1}), ErrorKind::kNumeric);
    EXPECT_EQ(kind_of({.temperature = t}, {-inf, -inf}), ErrorKind::kNumeric);
    EXPECT_EQ(kind_of({.temperature = t}, {}), ErrorKind::kShape);
    EXPECT_EQ(kind_of({.temperature = t, .no_repeat_ngram_size = 1}, {1, 2}, {0, 1}),
              ErrorKind::kNumeric);
  }
}

TEST(SamplerChain, RefusesValuesOutsideTheirLimits) {
  EXPECT_EQ(kind_of({.temperature = -1}, {1}), ErrorKind::kConfig);
  EXPECT_EQ(kind_of({.top_p = 1.5}, {1}), ErrorKind::kConfig);
  EXPECT_EQ(kind_of({.repetition_penalty = 0}, {1}), ErrorKind::kConfig);
  EXPECT_EQ(kind_of({.dry_allowed_length = 0}, {1}), ErrorKind::kConfig);
}

TEST(SamplerChain, RunsInTheOrderGiven) {
  // Flattened first, the two most likely have 0.49; unflattened, the first alone has 0.5.
  const auto flat = frequencies({.temperature = 3, .top_p = 0.45}, 500);
  EXPECT_GT(flat[1], 0.1);
  const auto sharp = frequencies(
      {.temperature = 3, .top_p = 0.45, .sampler_order = {"top_p", "temperature"}}, 500);
  EXPECT_NEAR(sharp[0], 1.0, 1e-9);
  const auto off = frequencies({.sampler_order = {"top_p", "temperature"}}, 500);
  EXPECT_GT(off[1], 0.2) << "a sampler that is listed but not turned on does not run";
}

TEST(SamplerChain, RefusesAnOrderThatCannotBeMeant) {
  EXPECT_EQ(kind_of({.sampler_order = {"top-p"}}, {1}), ErrorKind::kConfig);
  EXPECT_EQ(kind_of({.sampler_order = {"top_p", "top_p"}}, {1}), ErrorKind::kConfig);
  EXPECT_EQ(kind_of({.top_k = 3, .sampler_order = {"top_p"}}, {1}), ErrorKind::kConfig);
  EXPECT_EQ(kind_of({.top_k = 3, .mirostat = 2, .sampler_order = {"mirostat", "top_k"}}, {1}),
            ErrorKind::kConfig);
  EXPECT_EQ(next(SamplerChain({.mirostat = 2, .sampler_order = {"mirostat", "top_k"}}), {1}, 0), 0);
}

TEST(SamplerChain, LogitBiasActsOnGreedyAndNamesATokenThatIsNot) {
  EXPECT_EQ(next(SamplerChain({.temperature = 0, .logit_bias = {{3, 5}}}), kRow, 0), 3);
  EXPECT_EQ(kind_of({.logit_bias = {{4, 1}}}, kRow), ErrorKind::kConfig);
  EXPECT_EQ(kind_of({.logit_bias = {{-1, 1}}}, kRow), ErrorKind::kConfig);
}

TEST(SamplerChain, GreedyIsLeftAloneByWhatOnlyShapesTheDraw) {
  const SamplerChain chain({.temperature = 0,
                            .top_n_sigma = 0.1,
                            .dynatemp_range = 2,
                            .xtc_probability = 1,
                            .xtc_threshold = 0.01,
                            .mirostat = 2,
                            .mirostat_tau = 0});
  SamplerState state;
  Row row = kRow;
  EXPECT_EQ(chain.next(row, {}, Rng(1), state), 0);
  EXPECT_EQ(row, kRow);
  EXPECT_FALSE(state.mirostat.bound.has_value());
}

TEST(SamplerChain, AFailedDrawLeavesTheState) {
  const SamplerChain chain({.mirostat = 2});
  SamplerState state;
  Row row = kRow, broken = {1, std::numeric_limits<float>::quiet_NaN()};
  chain.next(row, {}, Rng(1), state);
  const double bound = state.mirostat.bound.value();
  EXPECT_THROW(chain.next(broken, {}, Rng(1), state), Error);
  EXPECT_EQ(state.mirostat.bound, bound);
}

TEST(SamplerChain, EveryFilterAtOnceKeepsAToken) {
  GenerationConfig c{.temperature = 0.01, .top_k = 1, .top_p = 0, .min_p = 1, .typical_p = 1e-9};
  c.repetition_penalty = 100;
  c.presence_penalty = c.frequency_penalty = 2;
  c.dry_multiplier = 1e30;
  c.top_n_sigma = 1e-9;
  c.xtc_probability = 1;
  c.xtc_threshold = 0;
  c.mirostat = 1;
  c.mirostat_tau = 0;
  const SamplerChain chain(c);
  for (uint64_t i = 0; i < 20; ++i) {
    const int32_t id = next(chain, kRow, i, {0, 1, 2, 3, 0, 1}, {2, 3, 0, 1});
    EXPECT_TRUE(id >= 0 && id < 4);
  }
}

TEST(SamplerChain, ExplainTellsWhatEachStageDid) {
  const SamplerChain chain({.top_k = 3, .min_p = 0.5});
  Row row = kRow;
  SamplerState state;
  const SamplerReport report = chain.explain(row, {}, Rng(1).fork(0).fork(7), state, 10);
  ASSERT_EQ(report.stages.size(), 2u);
  EXPECT_EQ(report.stages[0].name, "top_k");
  EXPECT_EQ(report.stages[0].before, 4);
  EXPECT_EQ(report.stages[0].after, 3);
  EXPECT_EQ(report.stages[1].name, "min_p");
  EXPECT_EQ(report.stages[1].after, 2);
  ASSERT_EQ(report.candidates.size(), 2u);
  EXPECT_EQ(report.candidates[0].id, 0);
  EXPECT_NEAR(report.candidates[0].model_probability, 0.5, 1e-6);
  EXPECT_NEAR(report.candidates[0].probability, 0.625, 1e-6);
  EXPECT_EQ(report.chosen, next(chain, kRow, 7));
}

TEST(SamplerChain, ExplainOfGreedy) {
  Row row = kRow;
  SamplerState state;
  const SamplerReport report = SamplerChain({.temperature = 0}).explain(row, {}, Rng(1), state, 10);
  ASSERT_EQ(report.candidates.size(), 1u);
  EXPECT_EQ(report.chosen, 0);
  EXPECT_EQ(report.candidates[0].probability, 1.0);
}

TEST(SamplerCatalogue, EveryKeyExists) {
  std::set<std::string> keys;
  for (const FieldInfo& f : describe(GenerationConfig())) keys.insert(f.key);
  for (const SamplerInfo& s : kSamplers) {
    EXPECT_FALSE(s.active(GenerationConfig())) << s.name << " is on by default";
    std::string list(s.keys);
    for (size_t at; !list.empty(); list = at == std::string::npos ? "" : list.substr(at + 2)) {
      at = list.find(", ");
      EXPECT_TRUE(keys.contains(list.substr(0, at))) << list;
    }
  }
}

TEST(GenerationConfig, ReadsAHuggingFaceFile) {
  const Json tree =
      Json::parse(R"({"bos_token_id": 1, "do_sample": true, "eos_token_id": [2, 7], "top_p": 0.9,
      "temperature": 0.6, "top_k": null, "transformers_version": "5.23.0"})");
  const GenerationConfig c = read_generation_config(tree, "generation_config.json");
  EXPECT_EQ(c.temperature, 0.6);
  EXPECT_EQ(c.top_p, 0.9);
  EXPECT_EQ(c.top_k, 0);
  EXPECT_EQ(c.eos_token_id, (std::vector<int64_t>{2, 7}));
  Json greedy = tree;
  greedy["do_sample"] = false;
  EXPECT_TRUE(read_generation_config(greedy, "f").greedy());
  greedy["do_sample"] = "no";
  EXPECT_THROW(read_generation_config(greedy, "f"), Error);
  EXPECT_THROW(read_generation_config(Json::parse(R"({"top_p": "x"})"), "f"), Error);
  EXPECT_THROW(read_generation_config(Json::array(), "f"), Error);
  const auto eos = [](const char* text) {
    return read_generation_config(Json::parse(text), "f").eos_token_id;
  };
  EXPECT_EQ(eos(R"({"eos_token_id": 5})"), (std::vector<int64_t>{5}));
  EXPECT_EQ(eos(R"({"eos_token_id": null})"), std::vector<int64_t>{});
  EXPECT_THROW(eos(R"({"eos_token_id": "</s>"})"), Error);
  EXPECT_THROW(eos(R"({"eos_token_id": [2, -1]})"), Error);
}

TEST(GenerationConfig, LogitBiasHasIdsAsKeys) {
  const auto bias = [](const char* text) {
    return read_generation_config(Json::parse(text), "f").logit_bias;
  };
  EXPECT_EQ(bias(R"({"logit_bias": {"15": -100, "2": 1.5}})"),
            (std::map<int64_t, double>{{2, 1.5}, {15, -100}}));
  EXPECT_TRUE(bias(R"({"logit_bias": {}})").empty());
  for (const char* bad : {R"({"logit_bias": {"a": 1}})", R"({"logit_bias": {"1.5": 1}})",
                          R"({"logit_bias": {"1": "x"}})", R"({"logit_bias": {"1": 101}})",
                          R"({"logit_bias": [1]})", R"({"logit_bias": {"": 1}})"})
    EXPECT_THROW(bias(bad), Error) << bad;
  const GenerationConfig c{.logit_bias = {{7, 2}}};
  EXPECT_EQ(read_generation_config(write_config(c), "f").logit_bias, c.logit_bias);
}

}  // namespace
}  // namespace lathe
