// Conversions that change how many rows a table has or how far positions reach: the vocabulary and
// the context.

#include "lathe/model/family.h"
#include "lathe/nn/position/learned.h"
#include "lathe/ops/elementwise.h"
#include "model/convert_testing.h"

namespace lathe::testing {
namespace {

std::vector<ModelConfig> heads_of_all_kinds() {
  ModelConfig untied = tiny_config(), tied = untied, biased = untied, tied_biased = untied;
  tied.tie_word_embeddings = tied_biased.tie_word_embeddings = true;
  biased.lm_head_bias = tied_biased.lm_head_bias = true;
  return {untied, tied, biased, tied_biased};
}

// Of each row of [B,T,V].
std::vector<std::vector<double>> probabilities(const Tensor& logits) {
  const auto values = logits.to_vector();
  const auto width = static_cast<size_t>(logits.size(2));
  std::vector<std::vector<double>> rows;
  for (size_t at = 0; at < values.size(); at += width) {
    double sum = 0;
    for (size_t i = 0; i < width; ++i) sum += std::exp(values[at + i]);
    auto& row = rows.emplace_back();
    for (size_t i = 0; i < width; ++i) row.push_back(std::exp(values[at + i]) / sum);
  }
  return rows;
}

TEST(Vocabulary, OldTokensKeepTheirLogitsAndNearlyTheirProbabilities) {
  for (const ModelConfig& c : heads_of_all_kinds()) {
    const auto model = model_of(c);
    const int64_t old = c.vocab_size, added = 7;
    const auto larger = converted(*model, {.vocab_size = old + added});
    const Tensor a = logits_of(*model, some_ids(2, 9)), b = logits_of(*larger, some_ids(2, 9));
    EXPECT_LE(largest_difference(a, b.narrow(2, 0, old).clone()), 1e-5);
    const auto before = probabilities(a), after = probabilities(b);
    // The bound that the source derives, with room for the noise.
    const double kept = static_cast<double>(old) / static_cast<double>(old + added);
    for (size_t r = 0; r < before.size(); ++r)
      for (size_t i = 0; i < before[r].size(); ++i)
        EXPECT_GE(after[r][i], before[r][i] * kept * 0.98);
  }
}

TEST(Vocabulary, NewRowsAreNearTheMeanAndDifferFromEachOther) {
  ModelConfig c = tiny_config();
  c.lm_head_bias = true;
  const auto model = model_of(c);
  const auto larger = converted(*model, {.vocab_size = 40, .seed = 3});
  const auto again = converted(*model, {.vocab_size = 40, .seed = 3});
  const auto other = converted(*model, {.vocab_size = 40, .seed = 4});
  for (const char* name : {"embedding.weight", "head.weight", "head.bias"}) {
    const auto old = parameter(*model, name).value.tensor().to_vector();
    const auto fresh = parameter(*larger, name).value.tensor().to_vector();
    EXPECT_EQ(fresh, parameter(*again, name).value.tensor().to_vector());
    EXPECT_NE(fresh, parameter(*other, name).value.tensor().to_vector());
    const size_t width = old.size() / 13;
    for (size_t c0 = 0; c0 < width; ++c0) {
      double mean = 0, spread = 0, noise = 0;
      for (size_t r = 0; r < 13; ++r) mean += old[r * width + c0] / 13;
      for (size_t r = 0; r < 13; ++r) spread += std::pow(old[r * width + c0] - mean, 2) / 13;
      for (size_t r = 13; r < 40; ++r) noise += std::pow(fresh[r * width + c0] - mean, 2) / 27;
      EXPECT_NEAR(std::sqrt(noise), 0.01 * std::sqrt(spread), 0.006 * std::sqrt(spread)) << name;
    }
  }
}

TEST(Vocabulary, PaddingRowsAreNoPartOfTheMean) {
  const auto model = model_of(tiny_config());
  Parameter& table = parameter(*model, "embedding.weight");
  for (int64_t i = 10 * 16; i < 13 * 16; ++i) table.value.tensor().data<float>()[i] = 1000.0f;
  const auto larger = converted(*model, {.pad_vocab_to = 32, .known_tokens = 10});
  EXPECT_EQ(larger->config().vocab_size, 32);
  const Tensor rows = parameter(*larger, "embedding.weight").value.tensor();
  EXPECT_LT(largest_magnitude(rows.narrow(0, 13, 19).clone()), 3.0);
  EXPECT_EQ(rows.narrow(0, 0, 13).clone().to_vector(), table.value.tensor().to_vector());
}

TEST(Vocabulary, IsNeverMadeSmaller) {
  EXPECT_EQ(refusal(llama_like(), {.vocab_size = 12}),
            "[--vocab-size] 12 is less than the 13 rows that the model has; tokens cannot be "
            "removed, because the tokenizer would still produce their ids");
  EXPECT_EQ(converted_config(llama_like(), {.vocab_size = 13}).vocab_size, 13);
}

// --- context ---

TEST(Context, TheSameLengthIsTheSameModel) {
  for (const char* kind : {"none", "linear", "ntk", "dynamic", "yarn", "llama3"}) {
    SCOPED_TRACE(kind);
    const auto model = model_of(llama_like());
    const auto same = converted(*model, {.context = 24, .rope_scaling = kind});
    EXPECT_EQ(same->config().position.get<RopeConfig>().scaling.factor_for(24), 1.0);
    expect_equal_logits(*model, *same, 1e-5);
  }
  for (const char* kind : {"learned", "sinusoidal", "alibi", "t5", "shaw", "none"}) {
    SCOPED_TRACE(kind);
    ModelConfig c = tiny_config();
    c.position.kind = kind;
    const auto model = model_of(c);
    const auto same = converted(*model, {.context = 24});
    expect_equal_logits(*model, *same, 0);
  }
}

TEST(Context, RotaryPositionsAreStretched) {
  for (const char* kind : {"linear", "ntk", "yarn", "llama3"}) {
    const ModelConfig c = converted_config(llama_like(), {.context = 96, .rope_scaling = kind});
    EXPECT_EQ(c.max_position_embeddings, 96);
    EXPECT_EQ(c.position.get<RopeConfig>().scaling.kind, kind);
    EXPECT_EQ(c.position.get<RopeConfig>().scaling.factor, 4.0);
    const bool names = std::string(kind) == "yarn" || std::string(kind) == "llama3";
    EXPECT_EQ(c.position.get<RopeConfig>().scaling.original_max_position_embeddings,
              names ? std::optional<int64_t>(24) : std::nullopt);
    EXPECT_EQ(family_for(c).name, std::string(kind) == "ntk" ? "lathe" : "llama");
    // Twice is once by the product.
    const ModelConfig d = converted_config(c, {.context = 192, .rope_scaling = kind});
    EXPECT_EQ(d.position.get<RopeConfig>().scaling.factor, 8.0);
    EXPECT_EQ(d.position.get<RopeConfig>().scaling.original_max_position_embeddings,
              c.position.get<RopeConfig>().scaling.original_max_position_embeddings);
  }
  // Positions divided by 2: token 2t of the stretched model is where token t was.
  const ModelConfig linear =
      converted_config(llama_like(), {.context = 48, .rope_scaling = "linear"});
  EXPECT_EQ(linear.position.get<RopeConfig>().scaling.factor, 2.0);
}

TEST(Context, DynamicScalingKeepsTheTrainedLengthAsTheLimit) {
  const auto dynamic = [](const ModelConfig& c, int64_t length) {
    return converted_config(c, {.context = length, .rope_scaling = "dynamic"});
  };
  const ModelConfig c = dynamic(llama_like(), 96);
  EXPECT_EQ(c.max_position_embeddings, 24);
  EXPECT_EQ(c.position.get<RopeConfig>().scaling.factor, 4.0);
  const ModelConfig d = dynamic(c, 192);
  EXPECT_EQ(d.max_position_embeddings, 24);
  EXPECT_EQ(d.position.get<RopeConfig>().scaling.factor, 8.0);
  EXPECT_NE(error_text([&] { dynamic(c, 95); }).find("95 is less than the 96"), std::string::npos);
}

TEST(Context, ScalingWithoutAnOriginalLengthReachesFactorTimesTheLimit) {
  ModelConfig c = llama_like();
  c.position.get<RopeConfig>().scaling.kind = "yarn";
  c.position.get<RopeConfig>().scaling.factor = 4.0;
  const ModelConfig d = converted_config(c, {.context = 96, .rope_scaling = "yarn"});
  EXPECT_EQ(d.position.get<RopeConfig>().scaling.factor, 4.0);
  EXPECT_EQ(d.position.get<RopeConfig>().scaling.original_max_position_embeddings, 24);
  const auto model = model_of(c);
  const auto same = converted(*model, {.context = 96, .rope_scaling = "yarn"});
  expect_equal_logits(*model, *same, 0);
}

TEST(Context, ALearnedTableIsInterpolated) {
  ModelConfig c = tiny_config();
  c.position.kind = "learned";
  for (const int64_t offset : {0, 2}) {
    c.position.get<LearnedPositionConfig>().offset = offset;
    c.max_position_embeddings = 5;
    const auto model = model_of(c);
    const auto longer = converted(*model, {.context = 13});
    const auto old = parameter(*model, "position.weight").value.tensor().to_vector();
    const auto fresh = parameter(*longer, "position.weight").value.tensor().to_vector();
    ASSERT_EQ(fresh.size(), static_cast<size_t>(13 + offset) * 16);
    for (int64_t i = 0; i < offset * 16; ++i) EXPECT_EQ(fresh[i], old[i]);
    for (int64_t p = 0; p < 13; ++p)  // row p lies at p/3
      for (int64_t i = 0; i < 16; ++i) {
        const auto at = [&](int64_t row) {
          return old[(offset + std::min<int64_t>(row, 4)) * 16 + i];
        };
        const double rest = static_cast<double>(p % 3) / 3.0;
        EXPECT_NEAR(fresh[(offset + p) * 16 + i], (1 - rest) * at(p / 3) + rest * at(p / 3 + 1),
                    1e-6);
      }
    EXPECT_EQ(error_text([&] { logits_of(*longer, some_ids(1, 13)); }), "no error");
  }
  c.position.get<LearnedPositionConfig>().offset = 0;
  c.max_position_embeddings = 1;
  const auto longer = converted(*model_of(c), {.context = 3});
  EXPECT_EQ(parameter(*longer, "position.weight").shape[0], 3);
}

TEST(Context, WhatCannotBeStretchedIsRefused) {
  ModelConfig c = llama_like();
  EXPECT_EQ(refusal(c, {.context = 48}),
            "[--context] the model has rotary positions; give --rope-scaling to say how they are "
            "stretched: linear, ntk, dynamic, yarn, llama3, or none");
  EXPECT_EQ(refusal(c, {.context = 23, .rope_scaling = "yarn"}),
            "[--context] 23 is less than the 24 tokens that the model reads now; a shorter limit "
            "needs no conversion");
  EXPECT_EQ(refusal(c, {.context = 48, .rope_scaling = "longrope"}),
            "[--rope-scaling] longrope needs a divisor for each channel, which has to be searched "
            "for; use yarn");
  c.position.get<RopeConfig>().scaling.kind = "linear";
  c.position.get<RopeConfig>().scaling.factor = 2;
  EXPECT_EQ(
      refusal(c, {.context = 48, .rope_scaling = "yarn"}),
      "[--rope-scaling] the model already uses linear; only the same scaling can be extended");
  EXPECT_NE(refusal(c, {.context = 48, .rope_scaling = "none"}), "no error");
  c = tiny_config();
  c.position.kind = "alibi";
  EXPECT_EQ(refusal(c, {.context = 48, .rope_scaling = "yarn"}),
            "[--rope-scaling] the model's positions are alibi, which are not rotary; leave it out");
}

}  // namespace
}  // namespace lathe::testing
