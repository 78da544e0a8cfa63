// Adapter folders that are damaged, belong to another base, or hold what is not supported; and names
// that are spelled otherwise.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "io/temp_folder.h"
#include "lathe/io/json_file.h"
#include "lathe/model/load_model.h"
#include "model/adapter_testing.h"

namespace lathe::testing {
namespace {

namespace fs = std::filesystem;

// A copy of the golden adapter "llama" that a test may damage.
class DamagedAdapter : public ::testing::Test {
 protected:
  DamagedAdapter() : model_(load_model(goldens() / "llama" / "model", {})) { reset(); }

  void reset() {
    const fs::path from = goldens() / "adapters" / "llama";
    config_ = read_json_file(from / "adapter_config.json");
    const SafetensorsReader reader(from / "adapter_model.safetensors");
    arrays_.clear();
    for (const ArraySpan& array : reader.arrays())
      arrays_[array.name] = array_of(reader, array.name);
  }
  std::string error() {
    write_json_file(folder_ / "adapter_config.json", config_);
    write_arrays(folder_ / "adapter_model.safetensors", arrays_);
    return error_text([&] { load_lora(folder_.path(), *model_); });
  }
  void expect(const std::string& part) {
    const std::string got = error();
    EXPECT_NE(got.find(part), std::string::npos) << got;
    reset();
  }
  static std::string tensor(const std::string& name) { return "base_model.model.model." + name; }

  TempFolder folder_;
  std::unique_ptr<Transformer> model_;
  nlohmann::ordered_json config_;
  Arrays arrays_;
};

TEST_F(DamagedAdapter, OptionsThatAreNotSupportedAreNamed) {
  EXPECT_EQ(error(), "no error");
  for (const auto& [key, value] :
       std::map<std::string, nlohmann::ordered_json>{{"layer_replication", {{0, 1}, {0, 2}}},
                                                     {"use_qalora", true},
                                                     {"alora_invocation_tokens", {3}}}) {
    config_[key] = value;
    expect(key + " is set");
  }
  for (const char* how : {"pissa", "pissa_niter_16", "olora", "corda"}) {
    config_["init_lora_weights"] = how;
    expect(fmt::format("init_lora_weights is \"{}\": such an adapter acts on a base", how));
  }
  config_["peft_type"] = "NOVEL";
  expect(
      "peft_type is \"NOVEL\", expected LORA, ADALORA, IA3, VERA, LOHA, LOKR, OFT, MISS, BOTTLENECK, "
      "PROMPT_TUNING, P_TUNING, PREFIX_TUNING, LN_TUNING; merge an adapter of another kind");
  for (const char* type : {"ADALORA", "IA3", "VERA"}) {
    config_["peft_type"] = type;
    expect(fmt::format("is a tensor of an adapter of kind LORA, but adapter_config.json says {}",
                       type));
  }
  config_["peft_type"] = "PROMPT_TUNING";
  expect("there is no 'prompt_embeddings' in it");
}

// What the configuration says is in the file is asked for there.
TEST_F(DamagedAdapter, TensorsThatTheConfigurationAsksForAreMissed) {
  const auto set = [&](const char* key, const nlohmann::ordered_json& value, const char* part) {
    config_[key] = value;
    expect(part);
  };
  set("use_dora", true,
      "'model.layers.0.mlp.down_proj' has 'lora_A.weight' but not 'lora_magnitude_vector'");
  set("lora_bias", true, "but not 'lora_B.bias', which belongs to it; save the adapter again");
  set("modules_to_save", {"lm_head"}, "has 'lm_head' in modules_to_save, but there is no tensor");
  set("trainable_token_indices", {1, 2}, "has trainable_token_indices, but there is no tensor");
  config_["trainable_token_indices"] = {{"embed_tokens", {1, 2}}, {"lm_head", {1, 2}}};
  expect("names 2 tables, but only those of one can be trained");
}

TEST_F(DamagedAdapter, ADamagedConfigurationIsRefused) {
  const auto set = [&](const char* key, const nlohmann::ordered_json& value, const char* part) {
    config_[key] = value;
    expect(part);
  };
  config_.erase("peft_type");
  expect("no peft_type");
  config_ = nlohmann::ordered_json::array();
  expect("no peft_type");
  set("r", 0, "the rank of 'model.layers.0.mlp.down_proj' is 0, expected at least 1");
  set("r", "3", "adapter_config.json] r is \"3\"");
  set("r", int64_t{1} << 62, "expected an integer, between 0 and 65536");
  set("lora_alpha", nullptr, "no error");
  set("lora_alpha", "high", "lora_alpha is \"high\"");
  set("use_rslora", 1, "use_rslora is 1");
  set("bias", "some", "bias is \"some\"");
  set("rank_pattern", {1}, "rank_pattern is not an object");
  set("rank_pattern", {{"q_proj", 0}}, "rank_pattern of 'q_proj' is 0, expected a rank from 1");
  set("rank_pattern", {{"(", 3}}, "missing closing parenthesis");
  set("rank_pattern", {{"q_proj", 7}},
      "says that the rank of 'model.layers.0.self_attn.q_proj' is 7");
  set("alpha_pattern", {{"q_proj", "x"}}, "alpha_pattern of 'q_proj' is \"x\"");
  set("r", 4,
      "has shape [3, 20], expected [4, 20]: adapter_config.json says that the rank of "
      "'model.layers.0.mlp.down_proj' is 4");
}

TEST_F(DamagedAdapter, TensorsThatDoNotBelongAreNamed) {
  const std::string q = tensor("layers.0.self_attn.q_proj");
  const auto put = [&](const std::string& name, const Shape& shape, const std::string& part) {
    arrays_[name] = Tensor::zeros(shape, DType::kF32);
    expect(part);
  };
  arrays_.clear();
  arrays_["x"] = Tensor::zeros({1}, DType::kF32);
  expect("'x' is not a tensor of an adapter of kind LORA, which are named 'base_model.model.");
  put("base_model.model.x", {1},
      "'base_model.model.x' [1] is neither a tensor of an adapter of kind LORA nor a value of this "
      "model (llama)");
  put(q + ".lora_magnitude_vector", {16},
      "lora_magnitude_vector' is not a tensor of an adapter of kind LORA as adapter_config.json has");
  put(q + ".lora_B.bias", {16}, "lora_B.bias' is not a tensor of an adapter of kind LORA as");
  put("base_model.model.lora_A.weight", {1}, "'base_model.model.lora_A.weight' names no module");
  put(q + ".lora_embedding_A", {3, 16}, "is not a table of embeddings in this model");
  put(q + ".lora_A.weight", {3}, "has shape [3], expected [3, 16] for 'model.layers.0.self_attn.q");
  put(q + ".lora_A.weight", {3, 8},
      "has shape [3, 8], expected [3, 16] for 'model.layers.0.self_attn.q_proj.weight' of this "
      "model, which has 16 outputs and 16 inputs; the adapter was made for another base ('llama'); "
      "give that model");
  put(q + ".lora_B.weight", {24, 3}, "has shape [24, 3], expected [16, 3] for");
  put(q + ".base_layer.weight", {16, 16}, "differs from 'model.layers.0.self_attn.q_proj.weight'");
  put(q + ".base_layer.weight", {4, 16}, "has shape [4, 16]");
  put(tensor("layers.7.self_attn.q_proj.lora_A.weight"), {3, 16},
      "lora_A.weight' [3, 16] is for a module 'model.layers.7.self_attn.q_proj', which this model "
      "(llama) does not have; the adapter was made for another base ('llama')");
  put(tensor("norm.lora_A.weight"), {3, 16},
      "'model.norm', which this model (llama) does not have");
  put(tensor("norm.weight"), {7}, "has shape [7], but 'model.norm.weight' of this model has shape");
  arrays_.erase(q + ".lora_B.weight");
  expect("'model.layers.0.self_attn.q_proj' has 'lora_A.weight' but not 'lora_B.weight'");
  arrays_[q + ".lora_A.weight"].data<float>()[2] = INFINITY;
  expect("has a value that is not finite");
  arrays_.clear();
  expect("there is no adapter in it");
}

TEST_F(DamagedAdapter, MissingFilesAreNamed) {
  EXPECT_EQ(error(), "no error");
  fs::remove(folder_ / "adapter_model.safetensors");
  EXPECT_NE(
      error_text([&] { load_lora(folder_.path(), *model_); }).find("adapter_model.safetensors"),
      std::string::npos);
  folder_.write("adapter_model.bin", "x");
  EXPECT_NE(error_text([&] { load_lora(folder_.path(), *model_); }).find("is pickled"),
            std::string::npos);
  const auto gpt2 = load_model(goldens() / "gpt2" / "model", {});
  EXPECT_NE(error_text([&] {
              load_lora(goldens() / "adapters" / "llama", *gpt2);
            }).find("which this model (gpt2) does not have"),
            std::string::npos);
}

// Experts are one stacked matrix, or, in adapters that were made with older versions of transformers, a
// module each.
TEST(AdapterOfExperts, OneStackAndAModuleEachAreTheSame) {
  const fs::path from = goldens() / "adapters" / "qwen3_moe";
  const auto model = load_model(goldens() / "qwen3_moe" / "model", {});
  const auto want = load_lora(from, *model);
  const SafetensorsReader reader(from / "adapter_model.safetensors");
  Arrays arrays;
  for (const ArraySpan& array : reader.arrays()) {
    const Tensor t = array_of(reader, array.name);
    const size_t at = array.name.find(".experts.lora_");
    if (at == std::string::npos) {
      arrays[array.name] = t;
      continue;
    }
    for (int64_t e = 0; e < 4; ++e) {
      const std::string name = array.name.substr(0, at) + fmt::format(".experts.{}.down_proj", e) +
                               array.name.substr(at + std::string_view(".experts").size());
      Tensor part({t.size(0), 3}, DType::kF32);
      if (array.name.ends_with("lora_A.weight"))
        part = t.narrow(0, 3 * e, 3).clone();
      else
        for (int64_t j = 0; j < 3; ++j) part.narrow(1, j, 1).copy_from(t.narrow(1, 4 * j + e, 1));
      arrays[name] = part;
    }
  }
  const TempFolder folder;
  write_arrays(folder / "adapter_model.safetensors", arrays);
  fs::copy(from / "adapter_config.json", folder / "adapter_config.json");
  EXPECT_EQ(load_lora(folder.path(), *model)->identity(), want->identity());
}

TEST(AdapterOfExperts, ThoseOfAnotherModelAreRefused) {
  const auto error = [](const char* base, const char* adapter) {
    const auto model = load_model(goldens() / base / "model", {});
    return error_text([&] { load_lora(goldens() / "adapters" / adapter, *model); });
  };
  EXPECT_NE(error("mixtral", "qwen3_moe")
                .find("fit no matrices of experts at 'model.layers.0.mlp.experts' of this model "
                      "(mixtral); the adapter was made for another base ('qwen3_moe')"),
            std::string::npos);
  EXPECT_NE(error("llama", "mixtral").find("fit no matrices of experts"), std::string::npos);
}

// What rounding does to a table is told, and not more.
TEST_F(DamagedAdapter, ATableThatIsTheBasesUpToRoundingIsTheBases) {
  const std::string name = tensor("layers.0.self_attn.q_proj.base_layer.weight");
  Tensor table = model_->parameters()[0]->value.tensor();
  for (const Parameter* p : model_->parameters())
    if (p->name == "layers.0.attention.qkv.weight") table = p->value.tensor().narrow(0, 0, 16);
  std::vector<std::string> warnings;
  const Log log([&](LogLevel, const std::string& text) { warnings.push_back(text); });
  for (const double factor : {1.0, 1.02, 1.5}) {
    Tensor saved = table.clone();
    for (float& v : saved.span<float>()) v *= static_cast<float>(factor);
    arrays_[name] = saved;
    const std::string got = error();
    EXPECT_EQ(got == "no error", factor < 1.2) << got;
    if (factor < 1.2) load_lora(folder_.path(), *model_, log);
    EXPECT_EQ(warnings.size(), factor > 1.0 ? 1u : 0u);
  }
  EXPECT_NE(warnings[0].find("by 2 %"), std::string::npos) << warnings[0];
}

// The adapter of a model without its head has names without that model's prefix.
TEST_F(DamagedAdapter, NamesOfTheModelWithoutItsHeadAreFound) {
  EXPECT_EQ(error(), "no error");
  const auto want = load_lora(folder_.path(), *model_)->identity();
  Arrays shorter;
  for (const auto& [name, t] : arrays_)
    shorter["base_model.model." + name.substr(tensor("").size())] = t;
  arrays_ = shorter;
  EXPECT_EQ(error(), "no error");
  EXPECT_EQ(load_lora(folder_.path(), *model_)->identity(), want);
}

}  // namespace
}  // namespace lathe::testing
