// Model folders: names and layouts on disk, dtypes, shards, and every way in which a folder can be
// wrong.

#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"

#include <gtest/gtest.h>

#include <map>

#include "lathe/model/weight_map.h"
#include "model/folder_testing.h"

namespace lathe::testing {
namespace {

TEST_F(Folder, EachFamilyReadsWhatItWrites) {
  for (const Family* family : families()) {
    SCOPED_TRACE(family->name);
    const ModelConfig c = family_config(std::string(family->name));
    EXPECT_TRUE(can_express(*family, c));
    const fs::path first = save(c);
    const auto want = logits_of(*model_, some_ids(1, 5)).to_vector();
    const auto loaded = load_model(first, {});
    EXPECT_EQ(logits_of(*loaded, some_ids(1, 5)).to_vector(), want);
    EXPECT_EQ(loaded->config().model_type, family->name);
  }
}

// Also of a model that no other family can say; asking them all must not fail.
TEST_F(Folder, EveryModelHasAFamily) {
  for (const Variant& v : covering_variants(2)) {
    SCOPED_TRACE(v.name);
    EXPECT_TRUE(can_express(family_for(v.config), v.config));
    for (const Family* family : families()) can_express(*family, v.config);
  }
}

// A key of which there is one value only may be left out, as old files do.
TEST_F(Folder, AFixedKeyMayBeAbsent) {
  for (const Family* family : families()) {
    const ModelConfig c = family_config(std::string(family->name));
    for (const FixedKey& key : family->fixed) {
      Json json = write_family_config(*family, c);
      ASSERT_EQ(json.erase(std::string(key.theirs)), 1u) << key.theirs;
      EXPECT_EQ(error_text([&] { read_family_config(*family, json); }), "no error") << key.theirs;
      json[std::string(key.theirs)] = nullptr;
      EXPECT_EQ(error_text([&] { read_family_config(*family, json); }), "no error") << key.theirs;
    }
  }
}

// transformers insists on a number where Lathe has a default.
TEST_F(Folder, TheBalanceCoefficientIsWritten) {
  ModelConfig c = family_config("mixtral");
  c.moe.router_aux_loss_coef.reset();
  const fs::path path = save(c);
  EXPECT_EQ(read_json_file(path / "config.json")["router_aux_loss_coef"], 0.01);
}

TEST_F(Folder, NoFamilyClaimsARotaryScalingThatItDoesNotHave) {
  const auto saved_as = [&](const char* family, const char* kind) {
    ModelConfig c = family_config(family);
    c.position.get<RopeConfig>().scaling.kind = kind;
    c.position.get<RopeConfig>().scaling.factor = 2.0;
    return std::string(family_for(c).name);
  };
  EXPECT_EQ(saved_as("llama", "linear"), "llama");
  EXPECT_EQ(saved_as("llama", "ntk"), "lathe");
  EXPECT_EQ(saved_as("phi3", "ntk"), "lathe");
  EXPECT_NE(saved_as("phi3", "yarn"), "phi3");
}

// transformers has none of these, and a family that dropped them would compute another model.
TEST_F(Folder, NoFamilyClaimsMasksThatItDoesNotHave) {
  const std::pair<const char*, std::function<void(ModelConfig&)>> changes[] = {
      {"strided",
       [](ModelConfig& c) {
         c.layer_types = {"strided_attention"};
         c.attention.sparse_stride = 4;
       }},
      {"fixed",
       [](ModelConfig& c) {
         c.layer_types = {"full_attention", "fixed_attention"};
         c.attention.sparse_stride = 4;
       }},
      {"sink_tokens",
       [](ModelConfig& c) {
         c.layer_types = {"sliding_attention"};
         c.sliding_window = 4;
         c.attention.sink_tokens = 2;
       }},
      {"sink_logits", [](ModelConfig& c) { c.attention.sink_logits = true; }},
  };
  for (const Family* family : families())
    for (const auto& [name, change] : changes) {
      ModelConfig c = family_config(std::string(family->name));
      change(c);
      EXPECT_EQ(family_for(c).name, "lathe") << family->name << " " << name;
    }
}

// Their tables are 16-bit in memory then, beside scores that stay f32.
TEST_F(Folder, SinksAndConvolutionsLoadIn16Bits) {
  ModelConfig c = tiny_config();
  c.attention.sink_logits = true;
  c.ffn.kind = "mix";
  c.mlp_bias = true;
  const fs::path path = save(c);
  const Tensor want = logits_of(*model_, some_ids(1, 5));
  const auto loaded = load_model(path, {.dtype = DType::kBF16});
  EXPECT_LE(largest_difference(logits_of(*loaded, some_ids(1, 5)), want),
            0.05 * largest_magnitude(want));
}

// MiniMind's two generations share a model_type.
TEST_F(Folder, MiniMindIsReadInBothOfItsForms) {
  ModelConfig c = family_config("minimind");
  const auto written = [&] { return write_family_config(minimind_family(), c); };
  EXPECT_FALSE(written().contains("n_routed_experts"));
  EXPECT_TRUE(can_express(minimind_family(), c));
  c.attention.qk_norm = "none";
  EXPECT_EQ(written()["n_routed_experts"], 0);
  EXPECT_TRUE(can_express(minimind_family(), c));
  c.moe.num_experts = 4;
  c.moe.num_experts_per_tok = 1;
  c.moe.n_shared_experts = 1;
  EXPECT_FALSE(can_express(minimind_family(), c));  // one expert a token is not weighed there
  c.moe.norm_topk_prob = false;
  EXPECT_TRUE(can_express(minimind_family(), c));
  c.moe.n_shared_experts = 2;
  EXPECT_FALSE(can_express(minimind_family(), c));
  Json json = written();
  json["n_shared_experts"] = 2;
  EXPECT_NE(error_text([&] { read_family_config(minimind_family(), json); }).find("at most 1"),
            std::string::npos);
  json["n_shared_experts"] = 1;
  json["scoring_func"] = "sigmoid";
  EXPECT_NE(error_text([&] { read_family_config(minimind_family(), json); }).find("sigmoid"),
            std::string::npos);
  // As its own code fills in what config.json leaves out.
  const ModelConfig small =
      read_family_config(minimind_family(), Json::parse(R"({"vocab_size": 40, "hidden_size": 512,
                                         "num_hidden_layers": 8, "num_attention_heads": 8})"));
  const ModelConfig second = read_family_config(
      minimind_family(),
      Json::parse(R"({"vocab_size": 40, "hidden_size": 512, "num_hidden_layers": 8,
                      "num_attention_heads": 8, "n_routed_experts": 4, "use_moe": true})"));
  EXPECT_EQ(second.ffn_width(), 1408);
  EXPECT_EQ(second.num_key_value_heads, 2);
  EXPECT_EQ(second.norm.eps, 1e-5);
  EXPECT_EQ(second.moe.num_experts_per_tok, 2);
  EXPECT_EQ(second.moe.n_shared_experts, 1);
  EXPECT_EQ(small.intermediate_size, 1664);
  EXPECT_EQ(small.num_key_value_heads, 4);
  EXPECT_EQ(small.norm.eps, 1e-6);
  EXPECT_EQ(small.position.get<RopeConfig>().rope_theta, 1e6);
}

// Under the names of DeepSeek's own files; transformers writes the key and not the modules.
TEST_F(Folder, MtpModulesOfDeepSeekAreSavedOrKnownToBeAbsent) {
  ModelConfig c = family_config("deepseek_v3");
  c.num_nextn_predict_layers = 1;
  EXPECT_EQ(family_for(c).name, "deepseek_v3");
  const fs::path path = save(c);
  EXPECT_EQ(load_model(path, {})->config().num_nextn_predict_layers, 1);
  const std::string layer = fmt::format("model.layers.{}.", c.num_hidden_layers);
  const SafetensorsReader saved(path);
  for (const char* name : {"enorm", "hnorm", "eh_proj", "shared_head.norm", "input_layernorm",
                           "self_attn.o_proj", "mlp.experts.0.up_proj"})
    EXPECT_NE(saved.find(layer + name + ".weight"), nullptr) << name;
  rewrite(path, [&](std::vector<Array>& arrays) {
    std::erase_if(arrays, [&](const Array& a) { return a.name.starts_with(layer); });
  });
  EXPECT_EQ(load_model(path, {})->config().num_nextn_predict_layers, 0);
  rewrite(path, [&](std::vector<Array>& arrays) { arrays.pop_back(); });
  EXPECT_NE(load_error(path).find("is missing"), std::string::npos);
}

TEST_F(Folder, EveryRowOfEveryParameterHasOneNameInEachFamily) {
  for (const Family* family : families()) {
    SCOPED_TRACE(family->name);
    for (bool tied : {false, true}) {
      ModelConfig c = family_config(std::string(family->name));
      c.tie_word_embeddings = tied;
      EXPECT_EQ(&family_for(c), family) << family->name;
      Transformer model(c);
      model.allocate(DType::kF32);
      std::map<std::string, std::vector<char>> rows;
      std::map<std::string, int> names;
      for (const DiskTensor& t : map_weights(model)) {
        EXPECT_EQ(++names[t.name], 1) << t.name;
        for (const WeightPiece& piece : t.pieces) {
          auto& seen = rows[piece.parameter->name];
          seen.resize(static_cast<size_t>(piece.parameter->shape[0]));
          for (int64_t r = piece.first_row; r < piece.first_row + piece.rows; ++r)
            EXPECT_EQ(seen[static_cast<size_t>(r)]++, 0) << t.name;
        }
      }
      for (Parameter* p : model.parameters())
        EXPECT_EQ(rows[p->name], std::vector<char>(static_cast<size_t>(p->shape[0]), 1)) << p->name;
    }
  }
}

TEST_F(Folder, TheNamesAreThoseOfTransformers) {
  const auto shapes = [](const fs::path& path) {
    std::map<std::string, std::vector<int64_t>> all;
    const SafetensorsReader reader(path);
    for (const ArraySpan& a : reader.arrays()) all[a.name] = a.shape;
    return all;
  };
  using S = std::vector<int64_t>;
  ModelConfig c = family_config("llama");
  c.num_hidden_layers = 1;
  EXPECT_EQ(shapes(save(c)), (std::map<std::string, S>{
                                 {"lm_head.weight", {13, 16}},
                                 {"model.embed_tokens.weight", {13, 16}},
                                 {"model.layers.0.input_layernorm.weight", {16}},
                                 {"model.layers.0.mlp.down_proj.weight", {16, 12}},
                                 {"model.layers.0.mlp.gate_proj.weight", {12, 16}},
                                 {"model.layers.0.mlp.up_proj.weight", {12, 16}},
                                 {"model.layers.0.post_attention_layernorm.weight", {16}},
                                 {"model.layers.0.self_attn.k_proj.weight", {8, 16}},
                                 {"model.layers.0.self_attn.o_proj.weight", {16, 16}},
                                 {"model.layers.0.self_attn.q_proj.weight", {16, 16}},
                                 {"model.layers.0.self_attn.v_proj.weight", {8, 16}},
                                 {"model.norm.weight", {16}},
                             }));
  c = family_config("gpt2");
  c.num_hidden_layers = 1;
  EXPECT_EQ(shapes(save(c)), (std::map<std::string, S>{
                                 {"transformer.h.0.attn.c_attn.bias", {48}},
                                 {"transformer.h.0.attn.c_attn.weight", {16, 48}},
                                 {"transformer.h.0.attn.c_proj.bias", {16}},
                                 {"transformer.h.0.attn.c_proj.weight", {16, 16}},
                                 {"transformer.h.0.ln_1.bias", {16}},
                                 {"transformer.h.0.ln_1.weight", {16}},
                                 {"transformer.h.0.ln_2.bias", {16}},
                                 {"transformer.h.0.ln_2.weight", {16}},
                                 {"transformer.h.0.mlp.c_fc.bias", {12}},
                                 {"transformer.h.0.mlp.c_fc.weight", {16, 12}},
                                 {"transformer.h.0.mlp.c_proj.bias", {16}},
                                 {"transformer.h.0.mlp.c_proj.weight", {12, 16}},
                                 {"transformer.ln_f.bias", {16}},
                                 {"transformer.ln_f.weight", {16}},
                                 {"transformer.wpe.weight", {24, 16}},
                                 {"transformer.wte.weight", {13, 16}},
                             }));
}

TEST_F(Folder, AModelThatNoFamilyHasIsSavedAsItIs) {
  ModelConfig c = family_config("llama");
  c.norm.placement = "post";
  const fs::path path = save(c);
  EXPECT_EQ(read_json_file(path / "config.json")["model_type"], "lathe");
  EXPECT_EQ(logits_of(*load_model(path, {}), some_ids(1, 5)).to_vector(),
            logits_of(*model_, some_ids(1, 5)).to_vector());
}

TEST_F(Folder, ShardsAreTheSameModel) {
  for (const char* family : {"llama", "gpt2"}) {
    const fs::path whole = save(family_config(family));
    const auto want = logits_of(*model_, some_ids(2, 5)).to_vector();
    const fs::path cut = save(family_config(family), {.shard_bytes = 2000, .like = {}});
    EXPECT_FALSE(fs::exists(cut / "model.safetensors"));
    EXPECT_GT(entries_in(cut), 5u);
    const Json index = read_json_file(cut / "model.safetensors.index.json");
    EXPECT_EQ(index["metadata"]["total_size"].get<int64_t>(), 4 * model_->parameter_count());
    EXPECT_EQ(index["weight_map"].size(), SafetensorsReader(whole).arrays().size());
    EXPECT_EQ(logits_of(*load_model(cut, {}), some_ids(2, 5)).to_vector(), want);
    const std::string lost = index["weight_map"].begin().value();
    fs::remove(cut / lost);
    EXPECT_NE(load_error(cut).find(lost), std::string::npos) << load_error(cut);
  }
}

TEST_F(Folder, SixteenBitWeightsAreRoundedOnce) {
  for (DType dtype : {DType::kBF16, DType::kF16}) {
    const fs::path path = save(family_config("llama"), {.dtype = dtype, .like = {}});
    EXPECT_EQ(read_json_file(path / "config.json")["dtype"], name_of(dtype));
    const auto loaded = load_model(path, {});
    const auto mine = model_->parameters(), theirs = loaded->parameters();
    for (size_t i = 0; i < mine.size(); ++i)
      EXPECT_EQ(values_of(*theirs[i]), mine[i]->value.tensor().to(dtype).to_vector());
    // Saved again in the same type: the same bytes.
    const fs::path again = folder_ / "again";
    fs::create_directories(again);
    save_model(*loaded, again, {.dtype = dtype, .like = path});
    EXPECT_EQ(content_of(path / "model.safetensors"), content_of(again / "model.safetensors"));
    EXPECT_EQ(content_of(path / "config.json"), content_of(again / "config.json"));
    fs::remove_all(again);
    const auto narrow = load_model(path, {.dtype = DType::kBF16, .device = Device::kCpu});
    EXPECT_LE(
        largest_difference(logits_of(*narrow, some_ids(1, 5)), logits_of(*loaded, some_ids(1, 5))),
        0.5);
  }
}

// A parameter that is made of bf16 and f32 arrays keeps the f32 ones whole, whichever comes first.
TEST_F(Folder, ArraysOfAParameterMayDifferInType) {
  const fs::path path = save(family_config("llama"));
  for (const char* narrow : {"k_proj.weight", "q_proj.weight"}) {
    rewrite(path, [&](std::vector<Array>& arrays) {
      for (Array& a : arrays) {
        if (!a.name.ends_with(narrow) || a.dtype != "F32") continue;
        const Tensor wide = Tensor::borrow(reinterpret_cast<const std::byte*>(a.bytes.data()),
                                           Shape(std::span<const int64_t>(a.shape)), DType::kF32,
                                           std::make_shared<int>());
        const Tensor rounded = wide.to(DType::kBF16);
        a.dtype = "BF16";
        a.bytes.assign(reinterpret_cast<const char*>(rounded.raw()), rounded.bytes());
      }
    });
    const auto own = load_model(path, {});
    for (Residence residence : {Residence::kAsStored, Residence::kMapped}) {
      const auto stored = load_model(path, {.residence = residence});
      const auto want = own->parameters(), got = stored->parameters();
      for (size_t i = 0; i < want.size(); ++i)
        EXPECT_EQ(values_of(*got[i]), values_of(*want[i])) << want[i]->name;
    }
  }
}

TEST_F(Folder, NamesTheTensorThatIsWrong) {
  const fs::path path = save(family_config("llama"));
  rewrite(path, [](auto& arrays) {
    for (auto& a : arrays)
      if (a.name == "model.layers.1.mlp.up_proj.weight") std::swap(a.shape[0], a.shape[1]);
  });
  EXPECT_EQ(load_error(path),
            "[weights] 'model.layers.1.mlp.up_proj.weight' has shape [16, 12], but config.json "
            "requires [12, 16]");
  rewrite(path, [](auto& arrays) {
    for (auto& a : arrays)
      if (a.name == "model.layers.1.mlp.up_proj.weight")
        a.name = "model.layers.2.mlp.up_proj.weight";
  });
  EXPECT_EQ(load_error(path),
            "[weights] tensor 'model.layers.1.mlp.up_proj.weight' is missing; the weights do not "
            "belong to config.json, or the download is incomplete");
  const fs::path whole_numbers = save(family_config("llama"));
  rewrite(whole_numbers, [](auto& arrays) {
    for (auto& a : arrays)
      if (a.name == "model.norm.weight") a.dtype = "I32";
  });
  EXPECT_EQ(load_error(whole_numbers),
            "[weights] 'model.norm.weight' has type I32, expected F32, F16, BF16, F64, or a quantised "
            "type that Lathe reads (Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, "
            "IQ4_NL)");
}

TEST_F(Folder, ReadsRotarySettingsInEverySpelling) {
  const fs::path path = save(family_config("llama"));
  const auto theta = [&](const char* patch) {
    patch_config(path, R"({"rope_theta": null, "rope_parameters": null, "rope_scaling": null})");
    patch_config(path, patch);
    return read_model_config(path).position.get<RopeConfig>().rope_theta;
  };
  EXPECT_EQ(theta("{}"), 10000.0);
  EXPECT_EQ(theta(R"({"rope_theta": 500000.0})"), 500000.0);
  EXPECT_EQ(theta(R"({"rope_parameters": {"rope_type": "default", "rope_theta": 7.5}})"), 7.5);
  EXPECT_EQ(theta(R"({"rope_theta": 9.0, "rope_scaling": {"type": "default"}})"), 9.0);
  EXPECT_EQ(theta(R"({"rope_theta": 9, "rope_parameters": {"rope_theta": 8}})"), 8.0);
  EXPECT_EQ(theta(R"({"rope_theta": 3.0, "rope_scaling": {"type": "linear", "factor": 2.0}})"),
            3.0);
  const RopeScalingConfig scaling = read_model_config(path).position.get<RopeConfig>().scaling;
  EXPECT_EQ(scaling.kind, "linear");
  EXPECT_EQ(scaling.factor, 2.0);
  const std::string unknown =
      error_text([&] { theta(R"({"rope_parameters": {"rope_type": "spiral"}})"); });
  for (const char* part : {"[config.json]", "position.scaling.kind", "spiral", "llama3"})
    EXPECT_NE(unknown.find(part), std::string::npos) << unknown;
  EXPECT_NE(error_text([&] {
              theta(R"({"rope_parameters": {"rope_type": "longrope"}})");
            }).find("[model.position.scaling.short_factor] 0 numbers, but 2 pairs"),
            std::string::npos);
}

TEST_F(Folder, RefusesConfigsThatItDoesNotCompute) {
  const fs::path llama = save(family_config("llama")), gpt2 = save(family_config("gpt2"));
  const auto refused = [&](const fs::path& from, const char* patch) {
    const fs::path path = folder_ / "patched";
    fs::remove_all(path);
    fs::copy(from, path, fs::copy_options::recursive);
    patch_config(path, patch);
    return error_text([&] { read_model_config(path); });
  };
  const auto says = [&](const fs::path& from, const char* patch, const std::string& part) {
    const std::string text = refused(from, patch);
    EXPECT_NE(text.find(part), std::string::npos) << patch << "\n" << text;
  };
  EXPECT_EQ(refused(llama, R"({"hidden_act": "selu"})"),
            "[config.json] activation \"selu\" is not supported");
  says(llama, R"({"model_type": "blum"})", "unknown name 'blum'");
  says(llama, R"({"model_type": 3})", "no model_type");
  says(llama, R"({"model_type": null})", "no model_type");
  says(llama, R"({"hidden_size": null})", "hidden_size");
  says(llama, R"({"hidden_size": "wide"})",
       "hidden_size is \"wide\" (a string), expected an integer");
  says(llama, R"({"hidden_size": -16})",
       "hidden_size is -16 (an integer), expected an integer, at least 1");
  says(llama, R"({"num_attention_heads": 0})",
       "num_attention_heads is 0 (an integer), expected an integer, at least 1");
  const fs::path falcon = save(family_config("falcon"));
  patch_config(falcon, R"({"num_attention_heads": null})");
  EXPECT_NE(error_text([&] {
              read_model_config(falcon);
            }).find("is missing or has the wrong type: key 'num_attention_heads' not found"),
            std::string::npos);
  says(llama, R"({"num_key_value_heads": 0})",
       "num_key_value_heads is 0 (an integer), expected an integer, at least 1");
  says(llama, R"({"num_key_value_heads": -2})",
       "num_key_value_heads is -2 (an integer), expected an integer, at least 1");
  says(llama, R"({"head_dim": 0})", "head_dim is 0 (an integer), expected an integer, at least 1");
  says(llama, R"({"num_hidden_layers": 100000000})", "is out of range");
  says(llama, R"({"vocab_size": 9223372036854775807})", "is out of range");
  says(llama, R"({"hidden_size": 9223372036854775807, "head_dim": 4})", "is out of range");
  says(gpt2, R"({"scale_attn_by_inverse_layer_idx": true})",
       "scale_attn_by_inverse_layer_idx is true; for gpt2 models only false is supported");
  const fs::path chatglm = save(family_config("chatglm"));
  says(chatglm, R"({"multi_query_attention": true})", "this is ChatGLM2 or later");
  says(chatglm, R"({"position_encoding_2d": false})", "for chatglm models only true is supported");
  EXPECT_EQ(refused(chatglm, R"({"pre_seq_len": null})"), "no error");
  says(gpt2, R"({"n_head": 3})", "16 is not a multiple of 3 heads");
  EXPECT_EQ(refused(llama, R"({"eos_token_id": [1, 2], "bos_token_id": 999})"), "no error");
  EXPECT_EQ(refused(llama, R"({"num_key_value_heads": null, "head_dim": null})"), "no error");
}

TEST_F(Folder, SaysWhatIsNotThere) {
  const std::string none = load_error(folder_ / "none");
  EXPECT_NE(none.find("config.json"), std::string::npos) << none;
  const fs::path path = save(family_config("llama"));
  fs::remove(path / "model.safetensors");
  EXPECT_NE(load_error(path).find("model.safetensors"), std::string::npos) << load_error(path);
}

}  // namespace
}  // namespace lathe::testing
