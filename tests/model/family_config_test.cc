// config.json as published and as edited: what changes the result is followed or refused, never
// passed over. What each key stands for is what transformers 5.23 makes of it.

#include "model/folder_testing.h"

namespace lathe::testing {
namespace {

class FamilyConfig : public Folder {
 protected:
  // The config.json of a tiny model with `patch` laid over it (null removes a key).
  static Json patched(const std::string& family, const char* patch) {
    const Family& f = find_family(family);
    Json json = write_family_config(f, family_config(family));
    for (const char* key : {"rope_theta", "rope_parameters", "partial_rotary_factor"})
      if (f.name != "gpt_neox") json.erase(key);
    json.merge_patch(Json::parse(patch));
    return json;
  }
  static ModelConfig read(const std::string& family, const char* patch) {
    return read_family_config(find_family(family), patched(family, patch));
  }
  static std::string error(const std::string& family, const char* patch) {
    return error_text([&] { read(family, patch); });
  }
  static std::vector<std::string> layers(const std::string& family, const char* patch) {
    std::vector<std::string> types;
    for (const std::string& type : resolved(read(family, patch)).layer_types)
      types.push_back(type.substr(0, type.find('_')));
    return types;
  }
};

using Layers = std::vector<std::string>;

TEST_F(FamilyConfig, RopeScalingWinsOverRopeParameters) {
  const auto position = [](const char* patch) {
    return read("qwen3", patch).position.get<RopeConfig>();
  };
  const RopeConfig both = position(
      R"({"rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 7.0},
          "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}})");
  EXPECT_EQ(both.scaling.kind, "yarn");
  EXPECT_EQ(both.scaling.factor, 4.0);
  EXPECT_EQ(both.scaling.original_max_position_embeddings, 16);
  EXPECT_EQ(both.rope_theta, 10000.0);  // not that of the block that lost
  for (const char* none : {"{}", "null"})
    EXPECT_EQ(position((R"({"rope_parameters": {"rope_type": "linear", "factor": 3.0},
                            "rope_scaling": )" +
                        std::string(none) + "}")
                           .c_str())
                  .scaling.kind,
              "linear");
  EXPECT_EQ(position(R"({"rope_theta": 5.0, "rope_scaling": {"rope_theta": 6.0}})").rope_theta,
            6.0);
  EXPECT_EQ(position(R"({"rope_theta": 5.0, "rope_scaling": {"type": "default"}})").rope_theta,
            5.0);
}

TEST_F(FamilyConfig, ALengthBesideTheBlockWins) {
  const auto scaling = [](const char* patch) {
    return read("llama", patch).position.get<RopeConfig>().scaling;
  };
  EXPECT_EQ(scaling(R"({"original_max_position_embeddings": 8, "rope_scaling": {"type": "yarn",
                        "factor": 2.0, "original_max_position_embeddings": 16}})")
                .original_max_position_embeddings,
            8);
  EXPECT_EQ(
      read(
          "phi3",
          R"({"original_max_position_embeddings": null, "rope_scaling": {"type": "su", "short_factor": [1, 1, 1, 1],
                             "long_factor": [2, 2, 2, 2], "original_max_position_embeddings": 16}})")
          .position.get<RopeConfig>()
          .scaling.original_max_position_embeddings,
      4096);
  EXPECT_EQ(scaling(R"({"rope_scaling": {"type": "su", "factor": 2.0}})").kind, "longrope");
}

TEST_F(FamilyConfig, AMissingFactorIsTheRatioOfTheLengths) {
  ModelConfig c = read("llama", R"({"rope_scaling": {"type": "yarn",
                                    "original_max_position_embeddings": 8}})");
  EXPECT_EQ(c.position.get<RopeConfig>().scaling.factor_for(c.max_position_embeddings),
            3.0);  // of 24
  c.position.get<RopeConfig>().scaling.factor = 5.0;
  EXPECT_EQ(c.position.get<RopeConfig>().scaling.factor_for(c.max_position_embeddings), 5.0);
  c.position.get<RopeConfig>().scaling = {};
  c.position.get<RopeConfig>().scaling.kind = "linear";
  EXPECT_EQ(c.position.get<RopeConfig>().scaling.factor_for(c.max_position_embeddings), 1.0);
}

TEST_F(FamilyConfig, RotarySettingsThatAreNotComputedAreRefused) {
  EXPECT_NE(
      error("llama", R"({"partial_rotary_factor": 0.5})").find("partial_rotary_factor is 0.5"),
      std::string::npos);
  EXPECT_NE(error("qwen3", R"({"rope_parameters": {"full_attention": {"rope_theta": 3.0}}})")
                .find("'full_attention'"),
            std::string::npos);
  EXPECT_NE(error("qwen2", R"({"rope_scaling": {"type": "default", "mrope_section": [1, 1]}})")
                .find("'mrope_section'"),
            std::string::npos);
  EXPECT_NE(error("llama", R"({"rope_scaling": [2.0]})").find("expected an object"),
            std::string::npos);
  EXPECT_EQ(read("glm4", "{}").position.get<RopeConfig>().partial_rotary_factor, 0.5);
  EXPECT_EQ(read("glm4", R"({"partial_rotary_factor": 1.0})")
                .position.get<RopeConfig>()
                .partial_rotary_factor,
            1.0);
  // GPT-NeoX has names of its own for these.
  const char* const kOld = R"({"rope_parameters": null, "rope_theta": null,
      "partial_rotary_factor": null, "rotary_pct": 0.5, "rotary_emb_base": 77})";
  EXPECT_EQ(read("gpt_neox", kOld).position.get<RopeConfig>().partial_rotary_factor, 0.5);
  EXPECT_EQ(read("gpt_neox", kOld).position.get<RopeConfig>().rope_theta, 77);
  EXPECT_NE(error("gpt_neox", R"({"rope_theta": 5.0})").find("rope_theta is 5.0"),
            std::string::npos);
}

TEST_F(FamilyConfig, LayersOfGemma) {
  const char* const kSix = R"({"num_hidden_layers": 6, "layer_types": null})";
  EXPECT_EQ(layers("gemma3_text", kSix),
            (Layers{"sliding", "sliding", "sliding", "sliding", "sliding", "full"}));
  EXPECT_EQ(layers("gemma3_text", R"({"num_hidden_layers": 5, "layer_types": null,
                                      "sliding_window_pattern": 2})"),
            (Layers{"sliding", "full", "sliding", "full", "sliding"}));
  EXPECT_EQ(layers("gemma3_text", R"({"layer_types": ["full_attention", "sliding_attention"],
                                      "sliding_window_pattern": 2})"),
            (Layers{"full", "sliding"}));
  EXPECT_EQ(layers("gemma3_text", R"({"num_hidden_layers": 1, "layer_types": null})"),
            (Layers{"sliding"}));
  EXPECT_EQ(layers("gemma2", R"({"num_hidden_layers": 3, "layer_types": null})"),
            (Layers{"sliding", "full", "sliding"}));
  EXPECT_NE(error("gemma3_text", R"({"layer_types": null, "sliding_window_pattern": 0})")
                .find("sliding_window_pattern is 0"),
            std::string::npos);
  EXPECT_NE(error("gemma3_text", R"({"attn_logit_softcapping": 5.0})").find("only null"),
            std::string::npos);
  // transformers asks for a window even where no layer has it.
  for (const char* family : {"gemma2", "gemma3_text"}) {
    const ModelConfig full =
        read(family, R"({"layer_types": ["full_attention", "full_attention"]})");
    EXPECT_TRUE(write_family_config(find_family(family), full)["sliding_window"].is_number());
    EXPECT_TRUE(can_express(find_family(family), full));
  }
  EXPECT_EQ(read("gemma2", R"({"hidden_activation": null, "hidden_act": "silu"})").hidden_act,
            "gelu_tanh");
}

TEST_F(FamilyConfig, RotaryBlocksOfGemma3) {
  const auto position = [](const char* patch) {
    return read("gemma3_text", patch).position.get<RopeConfig>();
  };
  const RopeConfig laid_over = position(
      R"({"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 5.0},
                              "sliding_attention": {"rope_theta": 3.0}},
          "rope_scaling": {"rope_type": "linear", "factor": 8.0}})");
  EXPECT_EQ(laid_over.scaling.kind, "linear");
  EXPECT_EQ(laid_over.rope_theta, 5.0);
  EXPECT_EQ(laid_over.rope_local_base_freq, 3.0);
  const RopeConfig old = position(R"({"rope_theta": 9.0, "rope_local_base_freq": 4.0})");
  EXPECT_EQ(old.rope_theta, 9.0);
  EXPECT_EQ(old.rope_local_base_freq, 4.0);
  EXPECT_NE(error("gemma3_text", R"({"rope_parameters": {"rope_theta": 5.0}})")
                .find("full_attention and sliding_attention"),
            std::string::npos);
  EXPECT_NE(error("gemma3_text", R"({"rope_parameters": {"sliding_attention":
                                     {"rope_type": "linear", "factor": 2.0}}})")
                .find("sliding_attention layers have"),
            std::string::npos);
}

TEST_F(FamilyConfig, LayersOfMistral) {
  EXPECT_EQ(layers("mistral", R"({"sliding_window": 4})"), (Layers{"sliding", "sliding"}));
  const char* const kMixed =
      R"({"sliding_window": 4, "layer_types": ["full_attention", "sliding_attention"]})";
  EXPECT_EQ(layers("mistral", kMixed), (Layers{"full", "sliding"}));
  // transformers takes a file with this key for a Ministral, so it stands there only where needed.
  EXPECT_TRUE(
      write_family_config(mistral_family(), read("mistral", kMixed)).contains("layer_types"));
  for (const char* uniform : {R"({"sliding_window": 4})", R"({"sliding_window": null})"})
    EXPECT_FALSE(
        write_family_config(mistral_family(), read("mistral", uniform)).contains("layer_types"));
  const fs::path from = save(family_config("mistral")), to = folder_ / "to";
  patch_config(from, R"({"layer_types": ["full_attention", "full_attention"]})");
  fs::create_directories(to);
  save_model(*load_model(from, {}), to, {.like = from});
  EXPECT_FALSE(read_json_file(to / "config.json").contains("layer_types"));
}

TEST_F(FamilyConfig, LayersOfQwen) {
  const std::string three =
      R"({"num_hidden_layers": 3, "layer_types": null, "use_sliding_window": )";
  const auto of = [&](const char* family, const std::string& rest) {
    return layers(family, (three + rest + "}").c_str());
  };
  const Layers none = {"full", "full", "full"};
  for (const char* family : {"qwen2", "qwen3"}) {
    EXPECT_EQ(of(family, R"(false, "sliding_window": 4)"), none);
    EXPECT_EQ(of(family, R"(true, "sliding_window": 4)"), none);
    EXPECT_EQ(of(family, R"(true, "sliding_window": 4, "max_window_layers": 1)"),
              (Layers{"full", "sliding", "sliding"}));
  }
  EXPECT_EQ(of("qwen2_moe", R"(true, "sliding_window": 4)"),
            (Layers{"sliding", "full", "sliding"}));
  EXPECT_EQ(of("qwen2_moe", R"(true, "sliding_window": 4, "max_window_layers": 1)"),
            (Layers{"sliding", "full", "full"}));
  EXPECT_EQ(of("qwen3_moe", R"(true, "sliding_window": 4)"),
            (Layers{"sliding", "sliding", "sliding"}));
  EXPECT_EQ(of("qwen3_moe", R"(false, "sliding_window": 4)"), none);
}

// In every family, also those that have no windows.
TEST_F(FamilyConfig, LayerTypesThatSaySomethingElseAreRefused) {
  for (const Family* family : families()) {
    if (family == &lathe_family()) continue;
    const std::string name(family->name);
    Json json = write_family_config(*family, family_config(name));
    const auto error_of = [&](const Json& types) {
      json["layer_types"] = types;
      return error_text([&] { read_family_config(*family, json); });
    };
    const Json computed = resolved(family_config(name)).layer_types;
    EXPECT_EQ(error_of(computed), "no error") << name;
    EXPECT_NE(error_of({"full_attention"}).find("1 entries for 2 layers"), std::string::npos)
        << name;
    EXPECT_NE(error_of({"chunked_attention", "full_attention"}), "no error") << name;
  }
  EXPECT_NE(error("llama", R"({"layer_types": ["sliding_attention", "full_attention"],
                               "sliding_window": 4})")
                .find("the other keys of this llama model"),
            std::string::npos);
}

TEST_F(FamilyConfig, AbsentKeysHaveTheDefaultsOfTransformers) {
  const auto without = [](const char* family, const char* key) {
    Json json = write_family_config(find_family(family), family_config(family));
    json.erase(key);
    return read_family_config(find_family(family), json);
  };
  EXPECT_EQ(without("mistral", "num_key_value_heads").num_key_value_heads, 8);
  EXPECT_EQ(without("mixtral", "num_key_value_heads").num_key_value_heads, 8);
  EXPECT_EQ(without("qwen2", "num_key_value_heads").num_key_value_heads, 32);
  EXPECT_EQ(without("gemma2", "num_key_value_heads").num_key_value_heads, 4);
  EXPECT_EQ(without("llama", "num_key_value_heads").kv_heads(), 4);
  EXPECT_EQ(without("gemma3_text", "head_dim").head_dim, 256);
  EXPECT_EQ(without("qwen3", "head_dim").head_dim, 128);
  EXPECT_EQ(without("deepseek_v3", "q_lora_rank").attention.get<LatentConfig>().q_lora_rank, 1536);
  EXPECT_NE(error("gpt_neo", R"({"attention_types": null})").find("24 layers"), std::string::npos);
}

TEST_F(FamilyConfig, OtherNamesAreRead) {
  EXPECT_EQ(read("bloom", R"({"hidden_size": null, "n_embed": 32})").hidden_size, 32);
  EXPECT_EQ(read("falcon", R"({"n_embed": 32})").hidden_size, 32);
  for (const char* family : {"gpt2", "gptj"})
    EXPECT_EQ(read(family, R"({"num_hidden_layers": 1})").num_hidden_layers, 1);
  EXPECT_EQ(read("mixtral", R"({"num_experts": 3})").moe.num_experts, 3);
  EXPECT_NE(error("t5", R"({"num_hidden_layers": 9})").find("num_layers is 2"), std::string::npos);
  // Carried along by an export they would win over what was written.
  const fs::path from = save(family_config("gpt2")), to = folder_ / "to";
  patch_config(from, R"({"max_position_embeddings": 24, "mystery": 1})");
  const auto model = load_model(from, {});
  fs::create_directories(to);
  save_model(*model, to, {.like = from});
  EXPECT_FALSE(read_json_file(to / "config.json").contains("max_position_embeddings"));
  EXPECT_TRUE(read_json_file(to / "config.json").contains("mystery"));
}

TEST_F(FamilyConfig, UnknownKeysAreNamedOnce) {
  for (const Family* family : families()) {
    Json json = write_family_config(*family, family_config(std::string(family->name)));
    EXPECT_TRUE(unknown_config_keys(*family, json).empty()) << family->name;
  }
  // As some were published.
  EXPECT_EQ(
      unknown_config_keys(bloom_family(),
                          Json::parse(R"({"n_embed": 8, "num_attention_heads": 2, "n_layer": 1,
                    "seq_length": 64, "offset_alibi": 4, "skip_bias_add": true, "n_inner": null,
                    "masked_softmax_fusion": true, "unk_token_id": 0, "torch_dtype": "float16"})")),
      std::vector<std::string>{"n_inner"});
  EXPECT_NE(error("phi3", R"({"attention_bias": true})").find("attention_bias is true"),
            std::string::npos);
  EXPECT_NE(error("falcon", R"({"apply_residual_connection_post_layernorm": true})")
                .find("only false is supported"),
            std::string::npos);
  const fs::path path = save(family_config("llama"));
  patch_config(path, R"({"mystery": 1, "use_cache": true, "_name_or_path": "x", "torch_dtype": "a",
                         "rope_scaling": {"rope_type": "default", "spiral": 2}, "puzzle": null})");
  CollectedLog collected;
  load_model(path, {.log = collected.log});
  EXPECT_EQ(collected.text, "warning: " + (path / "config.json").string() +
                                ": these keys are unknown for llama models and are ignored: "
                                "mystery, rope_scaling.spiral\n");
}

TEST_F(FamilyConfig, QuantisedWeightsAreRefused) {
  EXPECT_NE(error("llama", R"({"quantization_config": {"quant_method": "gptq", "bits": 4}})")
                .find("weights are quantised by the method \"gptq\""),
            std::string::npos);
  EXPECT_EQ(error("llama", R"({"quantization_config": null})"), "no error");
}

TEST_F(FamilyConfig, EveryIdOfAListEndsATextAndIsWritten) {
  for (const char* family : {"llama", "lathe"}) {
    ModelConfig c = family_config(family);
    const fs::path from = save(c), to = folder_ / (std::string("to-") + family);
    patch_config(from, R"({"eos_token_id": [2, 99, 5], "pad_token_id": -1, "bos_token_id": [4]})");
    const auto model = load_model(from, {});
    EXPECT_EQ(model->config().eos_token_ids(), (std::vector<int64_t>{2, 5}));  // 99 cannot occur
    EXPECT_EQ(model->config().bos_token_id, 4);
    fs::remove(from / "generation_config.json");
    fs::create_directories(to);
    save_model(*model, to, {.like = from});
    for (const char* file : {"config.json", "generation_config.json"}) {
      const Json json = read_json_file(to / file);
      EXPECT_EQ(json["eos_token_id"], Json({2, 5})) << file;
      EXPECT_FALSE(json.contains("other_eos_token_ids")) << file;
    }
    EXPECT_EQ(read_model_config(to).eos_token_ids(), (std::vector<int64_t>{2, 5}));
    patch_config(from, R"({"eos_token_id": [99, 5]})");
    EXPECT_EQ(read_model_config(from).eos_token_ids(), (std::vector<int64_t>{5}));
    patch_config(from, R"({"eos_token_id": []})");
    EXPECT_TRUE(read_model_config(from).eos_token_ids().empty());
  }
}

// transformers computes the factor from the lengths unless the file has one.
TEST_F(FamilyConfig, NoDefaultIsWrittenThatWasNotThere) {
  ModelConfig c = family_config("phi3");
  c.num_attention_heads = 2;
  const fs::path from = save(c), to = folder_ / "to";
  patch_config(from, R"({"original_max_position_embeddings": 8, "rope_scaling": {"type": "longrope",
      "short_factor": [1, 1.2, 1.4, 1.6], "long_factor": [1, 4, 9, 16]}})");
  const auto model = load_model(from, {});
  fs::create_directories(to);
  save_model(*model, to, {.like = from});
  const Json json = read_json_file(to / "config.json");
  for (const char* block : {"rope_parameters", "rope_scaling"}) {
    EXPECT_EQ(json[block]["rope_type"], "longrope") << block;
    for (const char* key : {"factor", "attention_factor", "beta_fast", "truncate", "mscale"})
      EXPECT_FALSE(json[block].contains(key)) << block << " " << key;
  }
  EXPECT_EQ(json["original_max_position_embeddings"], 8);
  EXPECT_EQ(logits_of(*load_model(to, {}), some_ids(1, 12)).to_vector(),
            logits_of(*model, some_ids(1, 12)).to_vector());
  // What each kind needs is written whatever its value.
  const Json llama3 = write_family_config(
      llama_family(), read("llama", R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0,
                           "low_freq_factor": 1.0, "high_freq_factor": 4.0}})"));
  EXPECT_EQ(llama3["rope_parameters"].size(), 5u) << llama3.dump();
}

}  // namespace
}  // namespace lathe::testing
