// Conversions: those that promise the same function are held to equal logits, the others to their
// formula; what cannot be converted is refused by name.

#include <gtest/gtest.h>

#include "lathe/model/family.h"
#include "model/convert_testing.h"

namespace lathe::testing {
namespace {

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
                                 .experts = 3,
                                 .token_sources = TokenSources{{0}, {1}, {3, 2}, {7}, {12}}};
  auto at_once = converted(*model, all);
  auto in_turn = converted(*model, {.kv_heads = 2});
  in_turn = convert(std::move(in_turn), {.token_sources = all.token_sources});
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
      pair(p->value.tensor().narrow(0, p->parts[0], p->parts[1]));
      pair(p->value.tensor().narrow(0, p->parts[0] + p->parts[1], p->parts[2]));
    } else if (p->name.find(".key_value.") != std::string::npos) {
      pair(p->value.tensor().narrow(0, 0, p->parts[0]));
      pair(p->value.tensor().narrow(0, p->parts[0], p->parts[1]));
    } else if (p->name.find(".key_norm.") != std::string::npos && p->shape[0] == heads * width) {
      pair(p->value.tensor());
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
    const auto old = from.value.tensor().to_vector(), fresh = to.value.tensor().to_vector();
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
    return parameter(*sparse, name).value.tensor().to_vector();
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
