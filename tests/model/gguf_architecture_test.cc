// The architectures of GGUF files: every one there and back, and what each says in a way of its own.

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "lathe/io/gguf_writer.h"
#include "lathe/model/gguf/architecture.h"
#include "lathe/model/gguf/calibration.h"
#include "lathe/model/gguf/importance.h"
#include "model/gguf_testing.h"
#include "paths.h"

namespace lathe::testing {
namespace {

TEST_F(Gguf, EveryArchitectureIsTheSameModelWhenReadAgain) {
  int families = 0;
  for (const GgufArchitecture* architecture : gguf_architectures())
    for (const auto& reading : architecture->families) {
      const std::string name(reading.family().name);
      if (reading.is_written_as != nullptr) continue;  // MiniMind: below
      SCOPED_TRACE(name);
      const fs::path path = write(expressible(name), "F32");
      const auto back = load_model(path, {});
      const Tensor want = logits_of(*model_, some_ids(2, 9)),
                   got = logits_of(*back, some_ids(2, 9));
      EXPECT_LE(largest_difference(got, want), 2e-6 * largest_magnitude(want));
      for (const Parameter* p : model_->parameters()) {
        const auto &a = values_of(p->value.tensor()),
                   b = values_of(find_parameter(*back, p->name).value.tensor());
        ASSERT_EQ(a.size(), b.size()) << p->name;
        for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-7) << p->name;
      }
      const std::vector<int32_t> text = {1, 2, 3, 4, 5, 6, 7, 8};
      const bool reads_two_texts = model_->config().body_traits().encoder;
      EXPECT_TRUE(reads_two_texts || !calibrate(*model_, text, {.window = 8}).empty());
      ++families;
    }
  EXPECT_EQ(families, 20);
}

TEST_F(Gguf, EveryArchitectureIsInTheDocumentation) {
  std::ifstream page(tests_folder() / ".." / "docs" / "formats.md");
  const std::string text((std::istreambuf_iterator<char>(page)), {});
  const size_t section = text.find("### GGUF files");
  ASSERT_NE(section, std::string::npos);
  for (const GgufArchitecture* architecture : gguf_architectures())
    EXPECT_NE(text.find(fmt::format("`{}`", architecture->name), section), std::string::npos)
        << architecture->name;
}

// MiniMind has no architecture of its own; what its generations compute is another's.
TEST_F(Gguf, MiniMindIsWrittenAsWhatItComputes) {
  const auto check = [&](const ModelConfig& config, const char* architecture) {
    SCOPED_TRACE(architecture);
    ASSERT_EQ(family_for(config).name, "minimind");
    const fs::path path = write(config, "F32");
    EXPECT_EQ(GgufReader(path).metadata().need<std::string_view>("general.architecture"),
              architecture);
    const auto back = load_model(path, {});
    const Tensor want = logits_of(*model_, some_ids(2, 9)), got = logits_of(*back, some_ids(2, 9));
    EXPECT_LE(largest_difference(got, want), 2e-6 * largest_magnitude(want));
  };
  ModelConfig third = family_config("minimind"), second = third;
  check(third, "qwen3");
  third.moe.num_experts = 4;
  third.moe.moe_intermediate_size = 6;
  third.moe.norm_topk_prob = true;
  check(third, "qwen3moe");
  second.attention.qk_norm = "none";
  check(second, "llama");
  second.moe.num_experts = 4;
  second.moe.n_shared_experts = 1;
  const std::string shared =
      write_error(*make_model(second, DType::kF32, Device::kCpu), {find_block_type("F32")});
  EXPECT_NE(shared.find("this model of the family \"minimind\" has no GGUF architecture"),
            std::string::npos)
      << shared;
  third.moe.norm_topk_prob = false;
  third.moe.num_experts_per_tok = 2;
  const std::string gates =
      write_error(*make_model(third, DType::kF32, Device::kCpu), {find_block_type("F32")});
  EXPECT_NE(gates.find("moe.norm_topk_prob"), std::string::npos) << gates;
}

// The rows of a head's two halves take turns in Llama's files: w[h, half, i] is row (h, i, half).
TEST_F(Gguf, LlamaFilesHaveRotatingRowsSideBySide) {
  const fs::path path = write(wide_config(), "F32");
  const GgufReader file(path);
  const Parameter& qkv = find_parameter(*model_, "layers.1.attention.qkv.weight");
  const ArraySpan* keys = file.find("blk.1.attn_k.weight");
  ASSERT_NE(keys, nullptr);
  EXPECT_EQ(keys->shape, (std::vector<int64_t>{32, 64}));
  const float* disk = reinterpret_cast<const float*>(keys->bytes.data());
  const int64_t first = 4 * 16;  // behind the queries
  for (int64_t head = 0; head < 2; ++head)
    for (int64_t half = 0; half < 2; ++half)
      for (int64_t i = 0; i < 8; ++i) {
        const float* ours =
            qkv.value.tensor().data<float>() + (first + head * 16 + half * 8 + i) * 64;
        EXPECT_EQ(std::memcmp(disk + (head * 16 + 2 * i + half) * 64, ours, 64 * sizeof(float)), 0);
      }
}

TEST_F(Gguf, ExpertsAreOneTensor) {
  const fs::path path = write(expressible("mixtral"), "F32");
  const GgufReader file(path);
  const ModelConfig& c = model_->config();
  const ArraySpan* up = file.find("blk.0.ffn_up_exps.weight");
  ASSERT_NE(up, nullptr);
  const int64_t width = c.ffn_width();
  EXPECT_EQ(up->shape, (std::vector<int64_t>{4, width, c.hidden_size}));
  // Expert e has gate and up below each other in the model.
  const Tensor& ours =
      find_parameter(*model_, "layers.0.ffn.experts.gate_up.weight").value.tensor();
  for (int64_t e = 0; e < 4; ++e)
    EXPECT_EQ(std::memcmp(up->bytes.data() + e * width * c.hidden_size * 4,
                          ours.data<float>() + (2 * e + 1) * width * c.hidden_size,
                          static_cast<size_t>(width * c.hidden_size) * 4),
              0);
}

// Where a Falcon has two norms, `attn_norm` is the one of the feed-forward part.
TEST_F(Gguf, FalconNamesItsNormsByTheirNumber) {
  ModelConfig c = expressible("falcon");
  EXPECT_EQ(GgufReader(write(c, "F32")).find("blk.0.attn_norm_2.weight"), nullptr);
  c.parallel_block = "two_norms";
  model_ = make_model(c, DType::kF32, Device::kCpu);
  float value = 2;
  for (const char* ours : {"attention_norm", "ffn_norm"})
    find_parameter(*model_, fmt::format("layers.0.{}.weight", ours))
        .value.tensor()
        .span<float>()[0] = ++value;
  const fs::path changed = folder_ / "changed.gguf";
  write_gguf(*model_, changed, {.types = {find_block_type("F32"), true}, .from = "m"});
  const GgufReader file(changed);
  const auto first = [&](const char* name) {
    return *reinterpret_cast<const float*>(file.find(name)->bytes.data());
  };
  EXPECT_EQ(first("blk.0.attn_norm_2.weight"), 3);
  EXPECT_EQ(first("blk.0.attn_norm.weight"), 4);
  EXPECT_EQ(read_model_config(changed).parallel_block, "two_norms");
}

TEST_F(Gguf, GptNeoXSaysWhetherItsBranchesAreSideBySide) {
  ModelConfig c = expressible("gpt_neox");
  EXPECT_EQ(read_model_config(write(c, "F32")).parallel_block, "two_norms");
  c.parallel_block = "none";
  EXPECT_EQ(read_model_config(write(c, "F32")).parallel_block, "none");
  GgufDescription theirs;
  theirs.keys = {{"use_parallel_residual", 1}};
  EXPECT_NE(error_text([&] {
              read_gguf_config(find_gguf_architecture("gptneox", "f"), theirs, "f");
            }).find("expected true or false"),
            std::string::npos);
}

// Command R+ normalises queries and keys by whole tensors.
TEST_F(Gguf, WhatLlamaCppTakesForGrantedInCommandR) {
  GgufDescription theirs;
  theirs.keys = {{"context_length", 32},
                 {"embedding_length", 8},
                 {"block_count", 1},
                 {"feed_forward_length", 8},
                 {"attention.head_count", 2}};
  theirs.vocabulary = 16;
  const auto& architecture = find_gguf_architecture("command-r", "f");
  const ModelConfig c = read_gguf_config(architecture, theirs, "f");
  EXPECT_EQ(c.position.get<RopeConfig>().rope_theta, 10000.0);
  EXPECT_EQ(c.logit_scale, 1.0);
  theirs.tensors.insert("blk.0.attn_q_norm.weight");
  EXPECT_NE(error_text([&] { read_gguf_config(architecture, theirs, "f"); }).find("attn_q_norm"),
            std::string::npos);
}

// Of the matrix of all heads' keys and values, the part of each head: the keys' transposed.
TEST_F(Gguf, DeepSeekKeysAndValuesOfAllHeadsAreTwoTensors) {
  const fs::path path = write(expressible("deepseek_v2"), "F32");
  const GgufReader file(path);
  const auto& latent = model_->config().attention.get<LatentConfig>();
  const int64_t rank = latent.kv_lora_rank, keys = latent.qk_nope_head_dim,
                values = latent.v_head_dim;
  const ArraySpan *k = file.find("blk.1.attn_k_b.weight"), *v = file.find("blk.1.attn_v_b.weight");
  ASSERT_TRUE(k != nullptr && v != nullptr);
  EXPECT_EQ(k->shape, (std::vector<int64_t>{2, rank, keys}));
  EXPECT_EQ(v->shape, (std::vector<int64_t>{2, values, rank}));
  const float* up = find_parameter(*model_, "layers.1.attention.key_value_up.weight")
                        .value.tensor()
                        .data<float>();
  const auto at = [](const ArraySpan* array, int64_t i) {
    return reinterpret_cast<const float*>(array->bytes.data())[i];
  };
  for (int64_t head = 0; head < 2; ++head)
    for (int64_t c = 0; c < rank; ++c) {
      const float* rows = up + head * (keys + values) * rank + c;
      for (int64_t i = 0; i < keys; ++i)
        EXPECT_EQ(at(k, (head * rank + c) * keys + i), rows[i * rank]);
      for (int64_t i = 0; i < values; ++i)
        EXPECT_EQ(at(v, (head * values + i) * rank + c), rows[(keys + i) * rank]);
    }
  const GgufMetadata& metadata = file.metadata();
  const auto key = [&](const char* name) {
    return metadata.need<int64_t>(std::string("deepseek2.attention.") + name);
  };
  EXPECT_EQ(key("head_count_kv"), 1);
  EXPECT_EQ(key("key_length"), rank + latent.qk_rope_head_dim);
  EXPECT_EQ(key("value_length"), rank);
  EXPECT_EQ(key("key_length_mla"), keys + latent.qk_rope_head_dim);
  EXPECT_EQ(key("value_length_mla"), values);
}

// Before keys and values of all heads were two tensors.
TEST_F(Gguf, OlderDeepSeekFilesAreRead) {
  const GgufReader now(write(expressible("deepseek_v2"), "F32"));
  const auto& latent = model_->config().attention.get<LatentConfig>();
  const fs::path path = folder_ / "old.gguf";
  GgufWriter writer(path);
  for (const auto& [key, value] : now.metadata().entries())
    if (key.find("_length") == std::string::npos || key.find("attention") == std::string::npos)
      writer.add_value(key, value);
  writer.add("deepseek2.attention.key_length",
             static_cast<uint32_t>(latent.qk_nope_head_dim + latent.qk_rope_head_dim));
  writer.add("deepseek2.attention.value_length", static_cast<uint32_t>(latent.v_head_dim));
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const DiskTensor& t : map_weights(*model_, find_gguf_architecture("deepseek2", "f")))
    if (t.name.find("attn_k_b") == std::string::npos &&
        t.name.find("attn_v_b") == std::string::npos)
      tensors.emplace_back(t.name, t.gather(value_of));
  for (int64_t layer = 0; layer < model_->config().num_hidden_layers; ++layer)
    tensors.emplace_back(
        fmt::format("blk.{}.attn_kv_b.weight", layer),
        find_parameter(*model_, fmt::format("layers.{}.attention.key_value_up.weight", layer))
            .value.tensor());
  for (const auto& [name, values] : tensors) writer.announce(name, "F32", values.shape().dims());
  for (const auto& [name, values] : tensors) writer.write(std::as_bytes(values.span<float>()));
  writer.commit();
  const auto back = load_model(path, {});
  EXPECT_EQ(logits_of(*back, some_ids(2, 9)).to_vector(),
            logits_of(*model_, some_ids(2, 9)).to_vector());
}

TEST_F(Gguf, DeepSeekKeepsModulesForFurtherTokens) {
  ModelConfig c = expressible("deepseek_v3");
  c.num_nextn_predict_layers = 1;
  const fs::path path = write(c, "F32");
  const GgufReader file(path);
  EXPECT_EQ(file.metadata().need<int64_t>("deepseek2.block_count"), c.num_hidden_layers + 1);
  EXPECT_EQ(file.metadata().need<int64_t>("deepseek2.nextn_predict_layers"), 1);
  EXPECT_NE(file.find(fmt::format("blk.{}.nextn.eh_proj.weight", c.num_hidden_layers)), nullptr);
  const auto back = load_model(path, {});
  EXPECT_EQ(back->config().num_nextn_predict_layers, 1);
  for (const Parameter* p : model_->parameters())
    EXPECT_EQ(values_of(p->value.tensor()),
              values_of(find_parameter(*back, p->name).value.tensor()))
        << p->name;
}

GgufDescription tiny_deepseek() {
  GgufDescription theirs;
  theirs.keys = {{"context_length", 32},
                 {"embedding_length", 8},
                 {"block_count", 1},
                 {"feed_forward_length", 8},
                 {"attention.head_count", 2},
                 {"attention.layer_norm_rms_epsilon", 1e-5},
                 {"attention.kv_lora_rank", 4},
                 {"attention.key_length_mla", 5},
                 {"attention.value_length_mla", 3},
                 {"rope.dimension_count", 2},
                 {"expert_count", 4},
                 {"expert_used_count", 2},
                 {"expert_feed_forward_length", 4}};
  theirs.vocabulary = 16;
  return theirs;
}

TEST_F(Gguf, WhatDeepSeekFilesLeaveOut) {
  GgufDescription theirs = tiny_deepseek();
  const auto& architecture = find_gguf_architecture("deepseek2", "f");
  const auto read = [&] { return read_gguf_config(architecture, theirs, "f"); };
  const ModelConfig second = read();
  EXPECT_EQ(second.model_type, "deepseek_v2");
  EXPECT_EQ(second.attention.norm_eps, 1e-5);
  EXPECT_EQ(second.attention.get<LatentConfig>().qk_nope_head_dim, 3);
  EXPECT_FALSE(second.attention.get<LatentConfig>().q_lora_rank);
  // A router with biases is V3's, whose defaults the absent keys do not mean.
  theirs.tensors.insert("blk.0.exp_probs_b.bias");
  const ModelConfig third = read();
  EXPECT_EQ(third.model_type, "deepseek_v3");
  EXPECT_EQ(third.moe.router, "sigmoid");
  EXPECT_EQ(third.moe.n_group, 1);
  EXPECT_EQ(third.moe.topk_group, 1);
  EXPECT_EQ(third.moe.first_k_dense_replace, 0);
  EXPECT_EQ(third.moe.n_shared_experts, 0);
  EXPECT_EQ(third.moe.routed_scaling_factor, 1.0);
  EXPECT_FALSE(third.moe.norm_topk_prob);
  const auto error = [&](const char* key, const Json& value) {
    GgufDescription changed = tiny_deepseek();
    changed.keys[key] = value;
    return error_text([&] { read_gguf_config(architecture, changed, "f"); });
  };
  const std::string function = error("expert_gating_func", 4);
  EXPECT_NE(function.find("is 4, expected 1 (softmax) or 2 (sigmoid)"), std::string::npos)
      << function;
  const std::string width = error("rope.dimension_count", 5);
  EXPECT_NE(width.find("is 5, expected 1 to less than 'attention.key_length_mla', 5"),
            std::string::npos)
      << width;
  const std::string further = error("nextn_predict_layers", 1);
  EXPECT_NE(further.find("'nextn_predict_layers' is 1, expected 0 to less than"), std::string::npos)
      << further;
}

// llama.cpp has one weight for the factors on rotary angles and on scores.
TEST_F(Gguf, DeepSeekSaysHowYarnSharpens) {
  ModelConfig c = expressible("deepseek_v2");
  auto& scaling = c.position.get<RopeConfig>().scaling;
  scaling.kind = "yarn";
  scaling.factor = 4;
  scaling.original_max_position_embeddings = 8;
  scaling.mscale = scaling.mscale_all_dim = 0.707;
  const fs::path path = write(c, "F32");
  EXPECT_NEAR(GgufReader(path).metadata().need<float>("deepseek2.rope.scaling.yarn_log_multiplier"),
              0.0707, 1e-7);
  const auto back = load_model(path, {});
  EXPECT_EQ(back->config().position.get<RopeConfig>().scaling.mscale_all_dim, 0.707);
  const Tensor want = logits_of(*model_, some_ids(2, 9)), got = logits_of(*back, some_ids(2, 9));
  EXPECT_LE(largest_difference(got, want), 2e-6 * largest_magnitude(want));
  const auto refused = [&](const ModelConfig& config, const char* what) {
    const std::string error =
        write_error(*make_model(config, DType::kF32, Device::kCpu), {find_block_type("F32")});
    EXPECT_NE(error.find(what), std::string::npos) << error;
  };
  scaling.mscale = 1.0;
  refused(c, "position.scaling.mscale");
  c = expressible("deepseek_v3");
  c.position.get<RopeConfig>().rope_layout = "half";
  refused(c, "position.rope_layout");
  c = expressible("deepseek_v3");
  c.norm.eps = 1e-5;
  refused(c, "attention.norm_eps");
}

// Stacks of different depths; ReLU or a gated GELU as in the two generations of T5.
TEST_F(Gguf, T5HasTwoStacks) {
  ModelConfig c = expressible("t5");
  c.num_encoder_layers = 3;
  c.decoder_start_token_id = 4;
  for (const bool gated : {false, true}) {
    SCOPED_TRACE(gated);
    c.ffn.kind = gated ? "gated" : "mlp";
    c.hidden_act = gated ? "gelu_tanh" : "relu";
    c.tie_word_embeddings = c.scale_tied_head = !gated;
    const fs::path path = write(c, "F32");
    const GgufReader file(path);
    const auto key = [&](const char* name) {
      return file.metadata().need<int64_t>(std::string("t5.") + name);
    };
    EXPECT_EQ(key("block_count"), 3);
    EXPECT_EQ(key("decoder_block_count"), c.num_hidden_layers);
    EXPECT_EQ(key("decoder_start_token_id"), 4);
    EXPECT_EQ(file.find("dec.blk.0.ffn_gate.weight") != nullptr, gated);
    EXPECT_EQ(file.find("output.weight") != nullptr, gated);
    EXPECT_NE(file.find("enc.blk.2.ffn_up.weight"), nullptr);
    EXPECT_NE(file.find("dec.blk.0.cross_attn_k.weight"), nullptr);
    const auto back = load_model(path, {});
    EXPECT_EQ(back->config().decoder_start(), 4);
    const Tensor want = logits_of(*model_, some_ids(2, 9)), got = logits_of(*back, some_ids(2, 9));
    EXPECT_LE(largest_difference(got, want), 2e-6 * largest_magnitude(want));
  }
}

TEST_F(Gguf, WhatT5CannotBeIsRefused) {
  const auto refused = [&](const ModelConfig& config, const char* what) {
    const std::string error =
        write_error(*make_model(config, DType::kF32, Device::kCpu), {find_block_type("F32")});
    EXPECT_NE(error.find(what), std::string::npos) << error;
  };
  ModelConfig c = expressible("t5");
  c.hidden_act = "silu";
  refused(c, "hidden_act");
  c = expressible("t5");
  c.scale_tied_head = false;
  refused(c, "scale_tied_head");
  c.ffn.kind = "gated";
  c.hidden_act = "gelu_tanh";
  write(c, "F32");
  c.scale_tied_head = true;
  refused(c, "scale_tied_head");
  GgufDescription theirs;
  theirs.keys = {{"block_count", 2}};
  theirs.tensors = {"dec.blk.1.attn_rel_b.weight"};
  const std::string umt5 =
      error_text([&] { read_gguf_config(find_gguf_architecture("t5", "f"), theirs, "f"); });
  EXPECT_NE(umt5.find("for every layer (tensor 'dec.blk.1.attn_rel_b.weight'), as UMT5 does"),
            std::string::npos)
      << umt5;
  const auto model = make_model(expressible("t5"), DType::kF32, Device::kCpu);
  const std::string two_texts = error_text([&] {
    calibrate(*model, std::vector<int32_t>{1, 2, 3}, {.window = 2});
  });
  EXPECT_NE(two_texts.find("reads two texts, and a calibration has one"), std::string::npos)
      << two_texts;
}

TEST_F(Gguf, RotaryDivisorsOfLlama3AreReadAsItsFormula) {
  ModelConfig c = wide_config();
  auto& rope = c.position.get<RopeConfig>();
  rope.rope_theta = 5e5;
  rope.scaling.kind = "llama3";
  rope.scaling.factor = 8;
  rope.scaling.original_max_position_embeddings = 32;
  const fs::path path = write(c, "F32");
  EXPECT_NE(GgufReader(path).find("rope_freqs.weight"), nullptr);
  const ModelConfig back = read_model_config(path);
  const auto& scaling = back.position.get<RopeConfig>().scaling;
  EXPECT_EQ(scaling.kind, "llama3");
  EXPECT_NEAR(*scaling.factor, 8, 1e-5);
  EXPECT_EQ(scaling.original_max_position_embeddings, 32);
}

TEST_F(Gguf, WhatNoKeySaysIsRefused) {
  ModelConfig c = wide_config();
  c.sliding_window = 5;
  const auto model = make_model(c, DType::kF32, Device::kCpu);
  EXPECT_NE(write_error(*model, {find_block_type("F32")}).find("sliding_window"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "x.gguf"));
  const auto gptj = make_model(family_config("gptj"), DType::kF32, Device::kCpu);
  ModelConfig rw = expressible("falcon");
  set_keys(rw.position, R"({"kind": "alibi", "alibi": "falcon"})");
  EXPECT_NE(write_error(*make_model(rw, DType::kF32, Device::kCpu), {find_block_type("F32")})
                .find("position.kind"),
            std::string::npos);
  EXPECT_NE(
      write_error(*gptj, {find_block_type("F32")})
          .find("this model of the family \"gptj\" has no GGUF architecture that Lathe writes"),
      std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
