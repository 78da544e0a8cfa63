// Tiny models of every family in folders, which tests may then change.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/temp_folder.h"
#include "lathe/io/json_file.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/family.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"
#include "model/grid.h"

namespace lathe::testing {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

inline ModelConfig family_config(const std::string& family) {
  ModelConfig c = default_config(find_family(family));
  const ModelConfig tiny = tiny_config();
  c.vocab_size = tiny.vocab_size;
  c.hidden_size = tiny.hidden_size;
  c.num_hidden_layers = tiny.num_hidden_layers;
  c.num_attention_heads = family == "llama" ? tiny.num_attention_heads : 2;
  c.intermediate_size = tiny.intermediate_size;
  c.max_position_embeddings = tiny.max_position_embeddings;
  c.initializer_range = tiny.initializer_range;
  if (family == "llama") c.num_key_value_heads = 2;
  if (family == "bloom") {  // which has no keys for these
    c.intermediate_size.reset();
    c.max_position_embeddings = find_family(family).defaults().max_position_embeddings;
  }
  auto& latent = c.attention.get<LatentConfig>();
  if (c.attention.chosen<LatentConfig>() == &latent) {
    latent.kv_lora_rank = 6;
    latent.q_lora_rank = 5;
    latent.qk_nope_head_dim = 3;
    latent.qk_rope_head_dim = 2;
    latent.v_head_dim = 4;
  }
  if (c.moe.enabled()) {
    c.moe.num_experts = 4;
    c.moe.num_experts_per_tok = 2;
    c.moe.n_group = c.moe.topk_group = 1;
    c.moe.first_k_dense_replace = std::min<int64_t>(c.moe.first_k_dense_replace, 1);
    if (c.moe.moe_intermediate_size) c.moe.moe_intermediate_size = 6;
    if (c.moe.shared_expert_intermediate_size) c.moe.shared_expert_intermediate_size = 10;
  }
  return c;
}

class Folder : public ::testing::Test {
 public:
  struct Array {
    std::string name, dtype;
    std::vector<int64_t> shape;
    std::string bytes;
  };

 protected:
  fs::path save(const ModelConfig& config, const SaveOptions& options = {}) {
    const fs::path path = folder_ / ("model" + std::to_string(count_++));
    fs::create_directories(path);
    model_ = make_model(config, DType::kF32, Device::kCpu);
    save_model(*model_, path, options);
    return path;
  }
  // Rewrites the weights: f gets each array's name and bytes and may change or drop (empty name)
  // it.
  static void rewrite(const fs::path& path, const std::function<void(std::vector<Array>&)>& f) {
    std::vector<Array> arrays;
    {
      const SafetensorsReader reader(path);
      for (const ArraySpan& a : reader.arrays())
        arrays.push_back(
            {a.name, a.dtype, a.shape,
             std::string(reinterpret_cast<const char*>(a.bytes.data()), a.bytes.size())});
    }
    f(arrays);
    std::vector<ArraySpan> spans;
    for (const Array& a : arrays)
      spans.push_back({a.name, a.dtype, a.shape, std::as_bytes(std::span(a.bytes))});
    write_safetensors(path / "model.safetensors", spans);
  }
  static void patch_config(const fs::path& path, const char* patch) {
    Json json = read_json_file(path / "config.json");
    json.merge_patch(Json::parse(patch));
    write_json_file(path / "config.json", json);
  }
  std::string load_error(const fs::path& path) {
    return error_text([&] { load_model(path, {}); });
  }

  TempFolder folder_;
  std::unique_ptr<Transformer> model_;
  int count_ = 0;
};

// What is written to it, a line for each message.
struct CollectedLog {
  std::string text;
  Log log{[this](LogLevel level, const std::string& message) {
    text += (level == LogLevel::kWarning ? "warning: " : "") + message + "\n";
  }};
};

}  // namespace lathe::testing
