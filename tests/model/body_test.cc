// What the bodies see, and what they refuse.

#include <gtest/gtest.h>

#include <cmath>

#include "io/temp_folder.h"
#include "model/checks.h"

namespace lathe::testing {
namespace {

ModelConfig config_of(const char* body) {
  ModelConfig c = tiny_config();
  c.body = body;
  c.pad_token_id = 0;
  return c;
}

std::string refusal(const char* body, const std::function<void(ModelConfig&)>& change) {
  ModelConfig c = config_of(body);
  change(c);
  return error_text([&] { Transformer model(c); });
}

Tensor lengths(std::vector<int32_t> each) {
  return Tensor::of<int32_t>(each, {static_cast<int64_t>(each.size())});
}

Tensor with_prefix(Transformer& model, const Tensor& ids, const Tensor& prefix) {
  ModelInputs inputs{.rows = Rows::of(ids)};
  inputs.rows.prefix = prefix;
  return logits_of(model, inputs).reshape({ids.size(0), ids.size(1), kVocabulary});
}

TEST(Body, RefusesWhatHasNoMeaningInIt) {
  EXPECT_EQ(refusal("encoder_decoder", [](ModelConfig& c) { c.parallel_block = "shared_norm"; }),
            "[model.parallel_block] the cross-attention of an encoder_decoder comes between "
            "attention and feed-forward; use \"none\"");
  for (const char* body : {"encoder", "encoder_decoder", "prefix_decoder"})
    EXPECT_EQ(refusal(body,
                      [](ModelConfig& c) {
                        set_keys(c.position, R"({"kind": "alibi", "alibi": "falcon"})");
                      }),
              "[model.position.alibi] \"falcon\" favours later keys, and in body = \"" +
                  std::string(body) + "\" some tokens see what comes after them; use \"distance\"");
  EXPECT_EQ(refusal("decoder", [](ModelConfig& c) { c.num_encoder_layers = 2; }),
            "[model.num_encoder_layers] body = \"decoder\" has no encoder; use "
            "\"encoder_decoder\", or leave the key out");
  const auto few_buckets = [](ModelConfig& c) {
    set_keys(c.position, R"({"kind": "t5", "relative_attention_num_buckets": 3})");
  };
  EXPECT_EQ(refusal("decoder", few_buckets), "no error");
  EXPECT_EQ(refusal("encoder", few_buckets),
            "[model.position.relative_attention_num_buckets] 3 buckets for two directions; use at "
            "least 4");
  const auto expert_choice = [](ModelConfig& c) {
    c.moe.num_experts = 2;
    c.moe.router = "expert_choice";
  };
  EXPECT_EQ(refusal("encoder", expert_choice), "no error");
  EXPECT_NE(refusal("encoder_decoder", expert_choice).find("[model.moe.router]"),
            std::string::npos);
}

TEST(Body, SaysWhichInputIsMissing) {
  const auto pair = make_model(config_of("encoder_decoder"), DType::kF32, Device::kCpu);
  const auto alone = make_model(config_of("decoder"), DType::kF32, Device::kCpu);
  const ModelInputs rows{.rows = Rows::of(some_ids(1, 3))};
  EXPECT_EQ(error_text([&] { ModelPass(*pair, {}).hidden(rows); }),
            "[model] there is no text for the encoder, to which the decoder of this model attends");
  EXPECT_EQ(error_text([&] {
              ModelPass(*alone, {}).hidden({rows.rows, rows.rows});
            }),
            "[model] body \"decoder\" has no encoder; give the text as input_ids alone");
  const Pass pass;
  const EncoderMemory memory = pair->encode({&pass, &rows.rows});
  EXPECT_EQ(error_text([&] {
              alone->hidden({&pass, &rows.rows, Rng(0), &memory});
            }),
            "[model] an encoder's output was given, but body \"decoder\" does not attend to one");
}

// A prefix of 0 is a causal model, one of T sees everything, whatever limits the rest.
TEST(Body, PrefixesOfEveryLength) {
  for (int64_t window : {0, 1, 3}) {
    ModelConfig c = config_of("prefix_decoder");
    if (window > 0) c.sliding_window = window;
    const auto prefix = make_model(c, DType::kF64, Device::kRef);
    c.body = "decoder";
    const auto causal = make_model(c, DType::kF64, Device::kRef);
    c.body = "encoder";
    c.sliding_window.reset();
    const auto open = make_model(c, DType::kF64, Device::kRef);
    for (int64_t tokens : {1, 2, 7}) {
      const Tensor ids = some_ids(2, tokens);
      EXPECT_LE(
          largest_difference(with_prefix(*prefix, ids, lengths({0, 0})), logits_of(*causal, ids)),
          1e-12);
      const auto all = static_cast<int32_t>(tokens);
      EXPECT_LE(
          largest_difference(with_prefix(*prefix, ids, lengths({all, all})), logits_of(*open, ids)),
          1e-12);
      // Each row has its own.
      const Tensor mixed = with_prefix(*prefix, ids, lengths({0, all}));
      EXPECT_LE(largest_difference(mixed.narrow(0, 0, 1).clone(),
                                   logits_of(*causal, ids).narrow(0, 0, 1).clone()),
                1e-12);
      EXPECT_LE(largest_difference(mixed.narrow(0, 1, 1).clone(),
                                   logits_of(*open, ids).narrow(0, 1, 1).clone()),
                1e-12);
    }
  }
}

// Filling behind a text changes nothing for the decoder that reads it.
TEST(Body, PaddingOfTheEncodersTextIsNotSeen) {
  for (const char* position : {"rope", "t5", "alibi", "learned"}) {
    ModelConfig c = config_of("encoder_decoder");
    c.position.kind = position;
    const auto model = make_model(c, DType::kF64, Device::kRef);
    const Tensor ids = some_ids(1, 5);
    const auto answer = [&](const std::vector<int32_t>& text, const std::vector<int32_t>& mask) {
      const auto n = static_cast<int64_t>(text.size());
      ModelInputs inputs{.rows = Rows::of(ids), .text = Rows::of({text})};
      if (!mask.empty()) inputs.text->segments = Tensor::of<int32_t>(mask, {n});
      return logits_of(*model, inputs);
    };
    const Tensor want = answer({3, 1, 4}, {});
    EXPECT_LE(largest_difference(answer({3, 1, 4, 9, 9}, {1, 1, 1, 0, 0}), want), 1e-12);
    EXPECT_GT(largest_difference(answer({3, 1, 4, 9, 9}, {1, 1, 1, 1, 1}), want), 1e-6);
  }
}

TEST(Body, KindsOfTokensHaveVectors) {
  ModelConfig c = config_of("encoder");
  c.type_vocab_size = 2;
  const auto model = make_model(c, DType::kF64, Device::kRef);
  const Tensor ids = some_ids(1, 4);
  const auto with_types = [&](std::vector<int32_t> types) {
    ModelInputs inputs{.rows = Rows::of(ids)};
    if (!types.empty()) inputs.rows.token_types = Tensor::of<int32_t>(types, {4});
    return logits_of(*model, inputs);
  };
  EXPECT_EQ(with_types({}).to_vector(), with_types({0, 0, 0, 0}).to_vector());
  EXPECT_GT(largest_difference(with_types({0, 0, 1, 1}), with_types({})), 1e-6);
  EXPECT_NE(error_text([&] { with_types({0, 0, 2, 0}); }), "no error");
}

// The module that predicts token i + 2 sees what is known up to token i + 1, and not more.
TEST(Body, ModulesThatLookAheadDoNotSeeTheFuture) {
  ModelConfig c = config_of("decoder");
  c.num_nextn_predict_layers = 2;
  const auto model = make_model(c, DType::kF64, Device::kRef);
  const Tensor ids = some_ids(1, 7);
  const auto ahead = [&](int64_t changed) {
    const Tensor later = some_ids(1, 8).narrow(1, 1, 7).clone();
    if (changed >= 0)
      later.data<int32_t>()[changed] = (later.data<int32_t>()[changed] + 1) % kVocabulary;
    ModelPass pass(*model, {});
    const Var hidden = pass.hidden({Rows::of(ids)});
    return pass.mtp_hidden(1, hidden, flat(later)).value;
  };
  const Tensor a = ahead(-1), b = ahead(4);
  EXPECT_EQ(a.narrow(0, 0, 4).clone().to_vector(), b.narrow(0, 0, 4).clone().to_vector());
  EXPECT_GT(largest_difference(a.narrow(0, 4, 1).clone(), b.narrow(0, 4, 1).clone()), 1e-6);
  EXPECT_EQ(refusal("encoder", [](ModelConfig& m) { m.num_nextn_predict_layers = 1; }),
            "[model.num_nextn_predict_layers] predicting further tokens needs a causal decoder, "
            "but body = \"encoder\" is not one; use 0, or \"decoder\"");
}

// A convolution on a grid belongs to a body that sees everything, and to texts that fill the grid.
TEST(Body, AnEncoderCanLieOnAGrid) {
  ModelConfig c = config_of("encoder");
  c.ffn.kind = "mix";
  set_keys(c.ffn, R"({"conv": "grid", "grid_height": 7, "grid_width": 1})");
  const auto exact = make_model(c, DType::kF64, Device::kRef);
  expect_gradients_everywhere(*exact);
  const auto fast = make_model(c, DType::kF32, Device::kCpu);
  EXPECT_LE(largest_difference(logits_of(*fast, some_ids(2, 7)), logits_of(*exact, some_ids(2, 7))),
            1e-4);
  EXPECT_NE(error_text([&] { logits_of(*exact, some_ids(2, 6)); }).find("a grid of 7 × 1"),
            std::string::npos);
}

// Table 1 of the paper: a decoder alone, and both sides of an encoder-decoder.
TEST(Body, DeepNormHasTheConstantsOfItsPaper) {
  const DeepNormConstants alone = deep_norm(8);
  EXPECT_NEAR(alone.alpha, 2.0, 1e-12);
  EXPECT_NEAR(alone.beta, std::pow(64.0, -0.25), 1e-12);
  const DeepNormConstants encoder = deep_norm_of_encoder(16, 1);
  EXPECT_NEAR(encoder.alpha, 0.81 * 2.0, 1e-12);
  EXPECT_NEAR(encoder.beta, 0.87 / 2.0, 1e-12);
  const DeepNormConstants decoder = deep_norm_of_decoder(27);
  EXPECT_NEAR(decoder.alpha, 3.0, 1e-12);
  EXPECT_NEAR(decoder.beta, std::pow(324.0, -0.25), 1e-12);
}

}  // namespace
}  // namespace lathe::testing
