// Models that cannot be: each refusal with its message.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "io/temp_folder.h"
#include "lathe/model/model_recipe.h"
#include "lathe/model/presets.h"
#include "model/contiguous_cache.h"
#include "model/grid.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

// A [model] section that works, changed by `patch`.
std::string refusal_of(const char* patch) {
  Json section = Json::parse(R"({"vocab_size": 40, "hidden_size": 12, "num_hidden_layers": 1,
                                 "num_attention_heads": 3, "intermediate_size": 8})");
  section.update(Json::parse(patch));
  return error_text([&] { Transformer model(model_config_from_recipe(section)); });
}

TEST(ModelConfig, IsRefusedWithWhatToWriteInstead) {
  EXPECT_EQ(refusal_of("{}"), "no error");
  EXPECT_EQ(refusal_of(R"({"num_attention_heads": 5})"),
            "[model.num_attention_heads] hidden_size 12 is not a multiple of 5 heads; choose a "
            "number of heads that divides it, or set head_dim");
  EXPECT_EQ(refusal_of(R"({"num_attention_heads": 5, "head_dim": 4})"), "no error");
  EXPECT_EQ(refusal_of(R"({"num_key_value_heads": 2})"),
            "[model.num_key_value_heads] 3 query heads cannot share 2 key/value heads evenly; use "
            "a divisor of 3");
  EXPECT_EQ(refusal_of(R"({"num_attention_heads": 4})"),
            "[model.head_dim] rope rotates pairs of channels, but head_dim is 3; use an even one, "
            "or position.kind = \"learned\"");
  EXPECT_EQ(refusal_of(R"({"num_attention_heads": 4, "position": {"kind": "learned"}})"),
            "no error");
  EXPECT_EQ(refusal_of(R"({"eos_token_id": 40})"),
            "[model.eos_token_id] 40 is outside the vocabulary of 40");
  EXPECT_EQ(refusal_of(R"({"hidden_size": 20000000, "num_attention_heads": 1})"),
            "[model.hidden_size] 20000000 is out of range, expected 1 to 16777216");
  EXPECT_EQ(refusal_of(R"({"num_hidden_layers": 2000000})"),
            "[model.num_hidden_layers] 2000000 is out of range, expected 1 to 65536");
  EXPECT_EQ(refusal_of(R"({"head_dim": 16777216, "num_attention_heads": 16777216})"),
            "[model.head_dim] 16777216 heads of width 16777216 are out of range, expected at most "
            "16777216 channels");
}

TEST(ModelConfig, RefusesSparseLayersWithoutAPattern) {
  EXPECT_EQ(refusal_of(R"({"layer_types": ["strided_attention"]})"),
            "[model.attention.sparse_stride] layer_types has strided_attention layers; set the "
            "distance between their blocks, near the square root of the number of blocks, e.g. "
            "sparse_stride = 32");
  EXPECT_EQ(refusal_of(R"({"layer_types": ["fixed_attention"],
                           "attention": {"sparse_stride": 4, "sparse_summary": 5}})"),
            "[model.attention.sparse_summary] 5 is more than the 4 blocks in a group "
            "(sparse_stride); use at most that many");
  EXPECT_EQ(
      refusal_of(R"({"layer_types": ["fixed_attention"], "attention": {"sparse_stride": 4}})"),
      "no error");
  EXPECT_NE(refusal_of(R"({"layer_types": ["strided"]})").find("'strided_attention'"),
            std::string::npos);
}

TEST(ModelConfig, RefusesAGridInACausalModel) {
  EXPECT_EQ(refusal_of(R"({"ffn": {"kind": "mix", "conv": "grid", "grid_height": 2}})"),
            "[model.ffn.grid_width] ffn.conv = \"grid\" places the tokens on a grid; set its size, "
            "e.g. 16");
  EXPECT_EQ(refusal_of(R"({"ffn": {"kind": "mix", "conv": "grid", "grid_height": 2,
                                   "grid_width": 2}})"),
            "[model.ffn.conv] a convolution on a grid lets a token see those that come after it, "
            "which body = \"decoder\" must not see; use \"causal\", or body = \"encoder\"");
  EXPECT_EQ(refusal_of(R"({"ffn": {"kind": "mix"}})"), "no error");
}

TEST(ModelConfig, NamesTheNearestKnownName) {
  const auto starts = [](const char* patch, const std::string& message) {
    EXPECT_EQ(refusal_of(patch).substr(0, message.size()), message);
  };
  starts(R"({"hidden_sise": 4})", "[model] unknown key 'hidden_sise'");
  EXPECT_NE(refusal_of(R"({"hidden_sise": 4})").find("hidden_size"), std::string::npos);
  starts(R"({"model_type": "lama"})", "[model_type] unknown name 'lama'. Did you mean 'llama'?");
  EXPECT_NE(refusal_of(R"({"hidden_act": "gelu_tan"})").find("'gelu_tanh'"), std::string::npos);
  EXPECT_NE(refusal_of(R"({"norm": {"kind": "rmss"}})").find("'rms'"), std::string::npos);
  EXPECT_NE(refusal_of(R"({"position": {"kind": "ropes"}})").find("'rope'"), std::string::npos);
  EXPECT_NE(refusal_of(R"({"ffn": {"kind": "gate"}})").find("'gated'"), std::string::npos);
  EXPECT_NE(refusal_of(R"({"vocab_size": "40"})").find("vocab_size"), std::string::npos);
  EXPECT_NE(refusal_of(R"({"vocab_size": 0})").find("at least 1"), std::string::npos);
  EXPECT_NE(refusal_of(R"({"attention_dropout": 1.0})").find("0.99"), std::string::npos);
}

TEST(ModelConfig, SaysWhichKeyIsMissing) {
  const Json section = Json::parse(R"({"vocab_size": 40, "hidden_size": 12})");
  const std::string text = error_text([&] { model_config_from_recipe(section); });
  EXPECT_NE(text.find("num_hidden_layers"), std::string::npos) << text;
}

TEST(ModelConfig, UnderstandsTheFamilysSpelling) {
  const ModelConfig c = model_config_from_recipe(Json::parse(
      R"({"model_type": "gpt2", "vocab_size": 40, "n_embd": 8, "n_layer": 3, "n_head": 2,
          "n_positions": 16, "n_inner": 20, "layer_norm_epsilon": 1e-3, "attn_pdrop": 0.1,
          "resid_pdrop": 0.2})"));
  EXPECT_EQ(c.hidden_size, 8);
  EXPECT_EQ(c.num_hidden_layers, 3);
  EXPECT_EQ(c.num_attention_heads, 2);
  EXPECT_EQ(c.max_position_embeddings, 16);
  EXPECT_EQ(c.ffn_width(), 20);
  EXPECT_EQ(c.norm.eps, 1e-3);
  EXPECT_EQ(c.attention_dropout, 0.1);
  EXPECT_EQ(c.hidden_dropout, 0.2);
  EXPECT_TRUE(c.tie_word_embeddings);
}

// One key of theirs may stand for several of ours, and a later one say otherwise.
TEST(ModelConfig, UnderstandsKeysThatStandForSeveral) {
  const ModelConfig c = model_config_from_recipe(Json::parse(
      R"({"model_type": "t5", "vocab_size": 40, "d_model": 8, "num_decoder_layers": 2,
          "num_layers": 3, "num_heads": 2, "feed_forward_proj": "gated-gelu",
          "dropout_rate": 0.1})"));
  EXPECT_EQ(c.encoder_layers(), 3);
  EXPECT_EQ(c.num_hidden_layers, 2);
  EXPECT_EQ(c.ffn.kind, "gated");
  EXPECT_EQ(c.hidden_act, "gelu_tanh");
  EXPECT_EQ(c.attention_dropout, 0.1);
  EXPECT_EQ(c.hidden_dropout, 0.1);
  EXPECT_EQ(c.body, "encoder_decoder");
  EXPECT_EQ(
      error_text([] {
        model_config_from_recipe(Json::parse(R"({"model_type": "t5", "feed_forward_proj": 3})"));
      }),
      "[feed_forward_proj] 3 is not a word such as \"relu\" or \"gated-gelu\"");
}

TEST(ModelConfig, FeedForwardWidthHasADefault) {
  ModelConfig c = tiny_config();
  c.intermediate_size.reset();
  c.hidden_size = 100;
  EXPECT_EQ(c.ffn_width(), 320);  // 8/3·100 rounded up to 64
  c.ffn.kind = "mlp";
  EXPECT_EQ(c.ffn_width(), 400);
}

TEST(Transformer, RefusesIdsOutsideTheVocabulary) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  for (int32_t id : {13, -1, INT32_MAX, INT32_MIN})
    EXPECT_EQ(error_text([&] {
                logits_of(*model, Tensor::of<int32_t>(std::vector<int32_t>{1, id}, {1, 2}));
              }),
              "[embedding] id " + std::to_string(id) +
                  " is outside the table of 13 rows; the tokenizer and the model must belong "
                  "together");
}

// Pieces of these lengths one after the other through a cache.
std::string error_of_pieces(const Transformer& model, int64_t capacity,
                            const std::vector<int64_t>& pieces, size_t* bytes = nullptr) {
  ContiguousCache cache(1, capacity);
  const Pass pass{.cache = &cache};
  return error_text([&] {
    for (const int64_t length : pieces) {
      Rows rows = Rows::of(some_ids(1, length));
      rows.context = cache.lengths();
      model.hidden({&pass, &rows});
      cache.advance(rows);
    }
    if (bytes != nullptr) *bytes = cache.bytes();
  });
}

TEST(Transformer, RefusesMorePositionsThanWereTrained) {
  ModelConfig c = tiny_config();
  c.position.kind = "learned";
  const auto learned = make_model(c, DType::kF32, Device::kCpu);
  EXPECT_EQ(error_text([&] { logits_of(*learned, some_ids(1, 24)); }), "no error");
  EXPECT_EQ(error_text([&] { logits_of(*learned, some_ids(1, 25)); }),
            "[model] the sequence has 25 tokens, but only 24 positions were trained; shorten the "
            "text or generate less");
  EXPECT_EQ(error_of_pieces(*learned, 40, {20, 5}),
            "[model] the sequence has 25 tokens, but only 24 positions were trained; shorten the "
            "text or generate less");
}

TEST(ContiguousCache, RefusesMoreThanItHolds) {
  const ModelConfig c = tiny_config();
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  EXPECT_EQ(ContiguousCache(1, 4).bytes(), 0u);
  size_t bytes = 0;
  EXPECT_EQ(error_of_pieces(*model, 4, {3}, &bytes), "no error");
  EXPECT_EQ(bytes, 2u * 2 * 4 * 16 * sizeof(float));
  EXPECT_EQ(error_of_pieces(*model, 4, {3, 2}), "[cache] 3 + 2 tokens exceed the capacity of 4");
}

TEST(ContiguousCache, RefusesRowsThatDoNotGoOnFromWhatItHolds) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  ContiguousCache cache(1, 8);
  const Pass pass{.cache = &cache};
  Rows rows = Rows::of(some_ids(1, 3));
  model->hidden({&pass, &rows});
  cache.advance(rows);
  EXPECT_EQ(error_text([&] {
              model->hidden({&pass, &rows});
            }),
            "[cache] sequence 0 continues 0 tokens, but the cache holds 3");
  rows = Rows::of(some_ids(2, 3));
  EXPECT_EQ(error_text([&] {
              model->hidden({&pass, &rows});
            }),
            "[cache] 2 sequences, expected the 1 of the cache");
}

TEST(ContiguousCache, IsNotContinuedWhereTheTextMoves) {
  ModelConfig c = tiny_config();
  c.position.get<RopeConfig>().scaling.kind = "dynamic";
  c.position.get<RopeConfig>().scaling.factor = 2.0;
  c.max_position_embeddings = 4;
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  EXPECT_TRUE(model->outgrows_cache(4, 1));
  EXPECT_NE(error_of_pieces(*model, 8, {4, 1})
                .find("a cache of 4 tokens cannot be continued by 1: rotary scaling \"dynamic\""),
            std::string::npos);
  EXPECT_FALSE(model->outgrows_cache(2, 2));
  EXPECT_FALSE(model->outgrows_cache(0, 9));
}

TEST(Transformer, DrawsEachParameterFromItsName) {
  ModelConfig c = tiny_config();
  Transformer small(c), deep(c);
  c.num_hidden_layers = 3;
  Transformer deeper(c);
  for (Transformer* m : {&small, &deep, &deeper}) m->allocate(DType::kF32);
  small.initialize(Rng(1));
  deep.initialize(Rng(2));
  deeper.initialize(Rng(1));
  const auto a = small.parameters(), b = deep.parameters();
  EXPECT_NE(a[0]->value.tensor().to_vector(), b[0]->value.tensor().to_vector());
  for (Parameter* p : a) {
    for (Parameter* q : deeper.parameters()) {
      const bool scaled = p->name.ends_with("output.weight") || p->name.ends_with("down.weight");
      if (p->name != q->name || scaled) continue;
      EXPECT_EQ(p->value.tensor().to_vector(), q->value.tensor().to_vector()) << p->name;
    }
  }
}

TEST(Presets, AreModelsThatWork) {
  EXPECT_FALSE(presets().empty());
  for (const Preset& p : presets()) {
    EXPECT_EQ(error_text([&] { validate(p.config()); }), "no error") << p.name;
    EXPECT_EQ(&find_preset(p.name), &p);
    EXPECT_GT(Transformer(p.config()).parameter_count(), 0);
  }
  const std::string text = error_text([] { find_preset("m27"); });
  EXPECT_NE(text.find("m26"), std::string::npos) << text;
}

}  // namespace
}  // namespace lathe::testing
