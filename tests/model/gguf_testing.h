// What the tests of GGUF files share: models that are written, and read again.
#pragma once

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "lathe/model/gguf/write_gguf.h"
#include "model/folder_testing.h"

namespace lathe::testing {

class Gguf : public Folder {
 protected:
  // A model with rows of whole blocks.
  static ModelConfig wide_config(const std::string& family = "llama") {
    ModelConfig c = family_config(family);
    c.hidden_size = 64;
    c.num_attention_heads = 4;
    c.num_key_value_heads = 2;
    c.head_dim = 16;
    c.intermediate_size = 64;
    if (c.moe.moe_intermediate_size) c.moe.moe_intermediate_size = 32;
    if (c.moe.shared_expert_intermediate_size) c.moe.shared_expert_intermediate_size = 32;
    if (family == "qwen3_moe") c.moe.norm_topk_prob = true;
    return c;
  }
  fs::path write(const ModelConfig& config, const char* type, bool pure = true) {
    model_ = make_model(config, DType::kF32, Device::kCpu);
    const fs::path path = folder_ / fmt::format("{}-{}.gguf", type, count_++);
    written_ = write_gguf(*model_, path, {.types = {find_block_type(type), pure}, .from = "m"});
    return path;
  }
  std::string write_error(Transformer& model, const TypeChoice& types) {
    return error_text(
        [&] { write_gguf(model, folder_ / "x.gguf", {.types = types, .from = "m"}); });
  }

  std::vector<WrittenTensor> written_;
};

inline std::vector<float> values_of(const Tensor& x) {
  return {x.span<float>().begin(), x.span<float>().end()};
}

inline Parameter& find_parameter(Transformer& model, const std::string& name) {
  for (Parameter* p : model.parameters())
    if (p->name == name) return *p;
  throw std::out_of_range(name);
}

// A configuration of the family that its architecture can express.
inline ModelConfig expressible(const std::string& family) {
  ModelConfig c = family_config(family);
  if (family.starts_with("gemma")) {
    c.attention.scale = 1.0 / std::sqrt(static_cast<double>(c.head_width()));
    c.head_dim = c.head_width();
    c.sliding_window = 4;
    c.layer_types = {"sliding_attention",
                     family == "gemma2" ? "full_attention" : "sliding_attention"};
  }
  if (family == "qwen3_moe") c.moe.norm_topk_prob = true;
  if (family == "gpt2" || family == "phi3") c.head_dim.reset();
  return c;
}

}  // namespace lathe::testing
