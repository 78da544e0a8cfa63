// Conversions: those that promise the same function are held to equal logits, the others to their
// formula; what cannot be converted is refused by name.

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/model/convert/conversion.h"
#include "lathe/model/family.h"
#include "lathe/nn/position/learned.h"
#include "lathe/ops/elementwise.h"
#include "model/grid.h"

namespace lathe::testing {
namespace {

std::unique_ptr<Transformer> model_of(const ModelConfig& c) {
  return make_model(c, DType::kF32, Device::kCpu);
}

Parameter& parameter(Transformer& model, const std::string& name) {
  for (Parameter* p : model.parameters())
    if (p->name == name) return *p;
  throw std::runtime_error("no parameter " + name);
}

// Two models of the same values.
std::unique_ptr<Transformer> copy_of(Transformer& model) {
  auto copy = std::make_unique<Transformer>(model.config());
  copy->allocate(DType::kF32);
  for (Parameter* p : copy->parameters()) p->value.copy_from(parameter(model, p->name).value);
  return copy;
}

std::unique_ptr<Transformer> converted(Transformer& model, const ConversionOptions& options) {
  return convert(copy_of(model), options);
}

std::string refusal(const ModelConfig& c, const ConversionOptions& options) {
  return error_text([&] { converted_config(c, options); });
}

void expect_equal_logits(Transformer& a, Transformer& b, double tolerance = 1e-6) {
  const Tensor x = logits_of(a, some_ids(2, 9)), y = logits_of(b, some_ids(2, 9));
  EXPECT_LE(largest_difference(x, y), tolerance * std::max(1.0, largest_magnitude(x)));
}

ModelConfig llama_like() {
  ModelConfig c = tiny_config();
  c.model_type = "llama";
  return c;
}

TEST(Conversions, NothingAskedForIsRefused) {
  EXPECT_NE(refusal(llama_like(), {}).find("nothing to do"), std::string::npos);
  EXPECT_EQ(refusal(llama_like(), {.kv_heads = 2, .rope_scaling = "yarn"}),
            "[--rope-scaling] has no effect without --context");
  EXPECT_EQ(refusal(llama_like(), {.kv_heads = 2, .experts_per_token = 2}),
            "[--experts-per-token] has no effect without --experts");
}

// The limits of the options hold for callers without a command line, too.
TEST(Conversions, ImpossibleSizesAreRefused) {
  for (const ConversionOptions& o :
       std::vector<ConversionOptions>{{.kv_heads = 0},
                                      {.kv_heads = -2},
                                      {.vocab_size = INT64_MAX, .pad_vocab_to = 64},
                                      {.pad_vocab_to = 0},
                                      {.pad_vocab_to = INT64_MAX},
                                      {.context = INT64_MAX, .rope_scaling = "yarn"},
                                      {.context = 48, .rope_scaling = "none such"},
                                      {.experts = 1},
                                      {.experts = 1 << 20},
                                      {.experts = 4, .experts_per_token = 1}})
    EXPECT_NE(refusal(llama_like(), o), "no error");
}

TEST(Conversions, SeveralAtOnceAreAppliedInTurn) {
  const auto model = model_of(llama_like());
  const ConversionOptions all = {.body = "prefix_decoder",
                                 .kv_heads = 2,
                                 .vocab_size = 20,
                                 .context = 48,
                                 .rope_scaling = "linear",
                                 .experts = 3};
  auto at_once = converted(*model, all);
  auto in_turn = converted(*model, {.kv_heads = 2});
  in_turn = convert(std::move(in_turn), {.vocab_size = 20});
  in_turn = convert(std::move(in_turn), {.context = 48, .rope_scaling = "linear"});
  in_turn = convert(std::move(in_turn), {.experts = 3});
  in_turn = convert(std::move(in_turn), {.body = "prefix_decoder"});
  expect_equal_logits(*at_once, *in_turn, 0);
  EXPECT_EQ(at_once->config().vocab_size, 20);
  EXPECT_EQ(conversion_notes(model->config(), all).size(), conversions().size());
}

// --- a prefix ---

TEST(BodyConversion, WithoutAPrefixItIsTheSameModel) {
  for (const char* position : {"rope", "alibi", "t5", "shaw", "learned"}) {
    SCOPED_TRACE(position);
    ModelConfig c = llama_like();
    c.position.kind = position;
    const auto model = model_of(c), prefix = converted(*model, {.body = "prefix_decoder"});
    EXPECT_EQ(prefix->config().body, "prefix_decoder");
    EXPECT_EQ(family_for(prefix->config()).name, "lathe");
    const Tensor ids = some_ids(2, 9), want = logits_of(*model, ids);
    ModelInputs none{.rows = Rows::of(ids)};
    none.rows.prefix = Tensor::zeros({2}, DType::kI32);
    EXPECT_EQ(logits_of(*prefix, none).to_vector(), want.to_vector());
    EXPECT_GT(largest_difference(logits_of(*prefix, ids), want), 1e-4);  // with one of two tokens
  }
}

TEST(BodyConversion, OnlyADecoderBecomesAPrefixDecoder) {
  for (const char* body : {"encoder", "encoder_decoder", "prefix_decoder"}) {
    ModelConfig c = tiny_config();
    c.body = body;
    EXPECT_EQ(refusal(c, {.body = "prefix_decoder"}),
              "[--body] the model's body is \"" + std::string(body) +
                  "\"; only a \"decoder\" has the weights of a prefix_decoder");
  }
  EXPECT_NE(refusal(llama_like(), {.body = "encoder"}), "no error");
  ModelConfig falcon = tiny_config();
  set_keys(falcon.position, R"({"kind": "alibi", "alibi": "falcon"})");
  EXPECT_NE(refusal(falcon, {.body = "prefix_decoder"}).find("[model.position.alibi]"),
            std::string::npos);
}

// --- fewer key/value heads ---

// Makes every second key and value head a copy of the one before it.
void pair_heads(Transformer& model) {
  const int64_t width = model.config().head_width(), heads = model.config().kv_heads();
  const auto pair = [&](const Tensor& rows) {
    for (int64_t h = 0; h < heads; h += 2)
      rows.narrow(0, (h + 1) * width, width).copy_from(rows.narrow(0, h * width, width));
  };
  for (Parameter* p : model.parameters()) {
    if (p->name.find(".qkv.") != std::string::npos) {
      pair(p->value.narrow(0, p->parts[0], p->parts[1]));
      pair(p->value.narrow(0, p->parts[0] + p->parts[1], p->parts[2]));
    } else if (p->name.find(".key_value.") != std::string::npos) {
      pair(p->value.narrow(0, 0, p->parts[0]));
      pair(p->value.narrow(0, p->parts[0], p->parts[1]));
    } else if (p->name.find(".key_norm.") != std::string::npos && p->shape[0] == heads * width) {
      pair(p->value);
    }
  }
}

TEST(KvHeads, EqualHeadsOfAGroupGiveTheSameModel) {
  for (const char* qk_norm : {"none", "head", "full"})
    for (const char* norm : {"rms", "layer", "rms_offset"})
      for (const char* position : {"rope", "alibi", "shaw"}) {
        SCOPED_TRACE(std::string(qk_norm) + " " + norm + " " + position);
        ModelConfig c = tiny_config();
        c.attention.qk_norm = qk_norm;
        c.norm.kind = norm;
        c.norm.bias = c.attention_bias = true;
        c.position.kind = position;
        const auto model = model_of(c);
        pair_heads(*model);
        const auto grouped = converted(*model, {.kv_heads = 2});
        EXPECT_EQ(grouped->config().kv_heads(), 2);
        EXPECT_LT(grouped->parameter_count(), model->parameter_count());
        expect_equal_logits(*model, *grouped, 1e-5);
      }
}

TEST(KvHeads, InEveryBody) {
  const Dimension bodies = dimensions().back();
  ASSERT_EQ(bodies.name, "body");
  for (const Choice& body : bodies.choices) {
    SCOPED_TRACE(body.name);
    ModelConfig c = tiny_config();
    c.attention_bias = true;
    body.apply(c);
    const auto model = model_of(c);
    pair_heads(*model);
    expect_equal_logits(*model, *converted(*model, {.kv_heads = 2}), 1e-5);
  }
}

TEST(KvHeads, HeadsAreAveraged) {
  const auto model = model_of(llama_like());
  for (const int64_t heads : {4, 2, 1}) {
    const auto grouped = converted(*model, {.kv_heads = heads});
    const int64_t group = 4 / heads, width = 4;
    const Parameter& from = parameter(*model, "layers.1.attention.qkv.weight");
    const Parameter& to = parameter(*grouped, "layers.1.attention.qkv.weight");
    EXPECT_EQ(to.shape[0], 16 + 2 * heads * width);
    const auto old = from.value.to_vector(), fresh = to.value.to_vector();
    for (int64_t i = 0; i < 16 * 16; ++i) EXPECT_EQ(fresh[i], old[i]);
    for (int64_t part = 0; part < 2; ++part)
      for (int64_t row = 0; row < heads * width; ++row)
        for (int64_t c = 0; c < 16; ++c) {
          double sum = 0;
          for (int64_t g = 0; g < group; ++g) {
            const int64_t head = row / width * group + g;
            sum += old[(16 + part * 16 + head * width + row % width) * 16 + c];
          }
          EXPECT_NEAR(fresh[(16 + part * heads * width + row) * 16 + c],
                      sum / static_cast<double>(group), 1e-7);
        }
  }
}

TEST(KvHeads, StaysInItsFamilyWhereThatSharesHeads) {
  EXPECT_EQ(family_for(converted_config(llama_like(), {.kv_heads = 2})).name, "llama");
}

TEST(KvHeads, WhatCannotBeAveragedIsRefused) {
  ModelConfig c = llama_like();
  EXPECT_EQ(refusal(c, {.kv_heads = 3}),
            "[--kv-heads] 4 key/value heads cannot be averaged to 3; use a divisor of 4");
  EXPECT_NE(refusal(c, {.kv_heads = 8}), "no error");
  c.attention.kind = "latent";
  EXPECT_EQ(refusal(c, {.kv_heads = 2}),
            "[--kv-heads] the model has latent attention, which keeps no key/value heads that "
            "could be averaged");
}

// --- vocabulary ---

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
    const auto old = parameter(*model, name).value.to_vector();
    const auto fresh = parameter(*larger, name).value.to_vector();
    EXPECT_EQ(fresh, parameter(*again, name).value.to_vector());
    EXPECT_NE(fresh, parameter(*other, name).value.to_vector());
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
  for (int64_t i = 10 * 16; i < 13 * 16; ++i) table.value.data<float>()[i] = 1000.0f;
  const auto larger = converted(*model, {.pad_vocab_to = 32, .known_tokens = 10});
  EXPECT_EQ(larger->config().vocab_size, 32);
  const Tensor rows = parameter(*larger, "embedding.weight").value;
  EXPECT_LT(largest_magnitude(rows.narrow(0, 13, 19).clone()), 3.0);
  EXPECT_EQ(rows.narrow(0, 0, 13).clone().to_vector(), table.value.to_vector());
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
    const auto old = parameter(*model, "position.weight").value.to_vector();
    const auto fresh = parameter(*longer, "position.weight").value.to_vector();
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

// --- experts ---

TEST(Experts, AnswerAsTheDenseModelDid) {
  for (const char* kind : {"gated", "mlp"})
    for (const bool bias : {false, true})
      for (const char* parallel : {"none", "shared_norm"})
        for (const int64_t per_token : {2, 3}) {
          SCOPED_TRACE(std::string(kind) + " " + parallel);
          ModelConfig c = tiny_config();
          c.ffn.kind = kind;
          c.mlp_bias = bias;
          c.parallel_block = parallel;
          const auto model = model_of(c);
          const auto sparse = converted(*model, {.experts = 5, .experts_per_token = per_token});
          EXPECT_EQ(sparse->config().moe.num_experts_per_tok, per_token);
          EXPECT_GT(sparse->parameter_count(), model->parameter_count());
          expect_equal_logits(*model, *sparse, 2e-6);
        }
}

TEST(Experts, TokensAndPlacesInEveryBody) {
  const Dimension bodies = dimensions().back();
  ASSERT_EQ(bodies.name, "body");
  for (const Choice& body : bodies.choices) {
    SCOPED_TRACE(body.name);
    ModelConfig c = tiny_config();
    c.position.kind = "learned";
    body.apply(c);
    const auto model = model_of(c);
    expect_equal_logits(*model, *converted(*model, {.experts = 3}), 2e-6);
    expect_equal_logits(*model, *converted(*model, {.context = 24}), 0);
    const auto longer = converted(*model, {.context = 47});
    EXPECT_EQ(error_text([&] { logits_of(*longer, some_ids(1, 47)); }), "no error");
    const auto larger = converted(*model, {.vocab_size = 20});
    const Tensor a = logits_of(*model, some_ids(2, 9)), b = logits_of(*larger, some_ids(2, 9));
    EXPECT_LE(largest_difference(a, b.narrow(2, 0, c.vocab_size).clone()), 1e-5);
  }
}

TEST(Experts, RoutersAreDrawnFromTheSeed) {
  const auto model = model_of(llama_like());
  const auto router = [&](int64_t seed, const char* name) {
    const auto sparse = converted(*model, {.experts = 4, .seed = seed});
    return parameter(*sparse, name).value.to_vector();
  };
  const char* const first = "layers.0.ffn.router.weight";
  EXPECT_EQ(router(1, first), router(1, first));
  EXPECT_NE(router(1, first), router(2, first));
  EXPECT_NE(router(1, first), router(1, "layers.1.ffn.router.weight"));
  EXPECT_GT(std::abs(router(1, first)[0]), 0.0);
}

TEST(Experts, AreSavedInAFamilyThatHasThem) {
  EXPECT_EQ(family_for(converted_config(llama_like(), {.experts = 4})).name, "mixtral");
  ModelConfig c = llama_like();
  c.model_type = "qwen3";
  c.attention.qk_norm = "head";
  EXPECT_EQ(family_for(converted_config(c, {.experts = 4})).name, "qwen3_moe");
  c.norm.kind = "layer";
  EXPECT_EQ(family_for(converted_config(c, {.experts = 4})).name, "lathe");
}

TEST(Experts, WhatCannotBeUpcycledIsRefused) {
  ModelConfig c = llama_like();
  EXPECT_EQ(refusal(c, {.experts = 2, .experts_per_token = 3}),
            "[--experts-per-token] a token cannot use 3 of 2 experts");
  c.moe.num_experts = 4;
  EXPECT_EQ(refusal(c, {.experts = 8}),
            "[--experts] the model already has 4 experts; only a dense model can be upcycled");
}

}  // namespace
}  // namespace lathe::testing
