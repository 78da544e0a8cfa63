// An adapter's folder: the bytes are adapter_config.json, a zero, and adapter_model.safetensors. One
// more zero before them: the file of steering vectors, alone.
#include "fuzz/fuzz.h"
#include "io/temp_folder.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/adapter/applied_adapters.h"
#include "lathe/model/adapter/merge.h"
#include "lathe/model/adapter/steering.h"
#include "lathe/model/family.h"
#include "lathe/model/model_pass.h"

namespace lathe::fuzz {
namespace {

// A Llama of one layer, with random weights.
std::unique_ptr<Transformer> small_model() {
  ModelConfig c = default_config(find_family("llama"));
  c.vocab_size = 5;
  c.hidden_size = 4;
  c.intermediate_size = 4;
  c.num_attention_heads = 2;
  c.num_hidden_layers = 1;
  c.max_position_embeddings = 8;
  auto model = std::make_unique<Transformer>(c);
  model->allocate(DType::kF32);
  model->initialize(Rng(1));
  return model;
}

void check_steering(std::string_view bytes) {
  const TempFolder folder;
  folder.write("vectors", bytes);
  const auto vectors = load_steering(folder / "vectors");
  promise(!vectors->directions().empty() && vectors->width() > 0);
}

std::string file_of(std::initializer_list<std::pair<const char*, std::vector<int64_t>>> arrays) {
  const std::vector<float> values(64, 0.5f);
  std::vector<ArraySpan> spans;
  for (const auto& [name, shape] : arrays) {
    size_t count = 1;
    for (const int64_t n : shape) count *= static_cast<size_t>(n);
    spans.push_back({name, "F32", shape, std::as_bytes(std::span(values).first(count))});
  }
  const TempFolder folder;
  write_safetensors(folder / "f", spans);
  return content_of(folder / "f");
}

}  // namespace

// What is accepted acts on every row of the model, and can be merged.
void check(std::string_view bytes) {
  const size_t zero = bytes.find('\0');
  if (zero == 0) return check_steering(bytes.substr(1));
  const TempFolder folder;
  folder.write("adapter_config.json", bytes.substr(0, zero));
  folder.write("adapter_model.safetensors",
               zero == std::string_view::npos ? "" : bytes.substr(zero + 1));
  auto model = small_model();
  const std::vector<std::shared_ptr<const Adapter>> adapters = {
      load_adapter(folder.path(), *model)};
  promise(adapters[0]->bytes() > 0);
  const Rows rows = Rows::of(IdRows{{1, 2}});
  const AppliedAdapters acting(adapters);
  ModelPass pass(*model, {.adapters = &acting});
  promise(pass.logits(pass.hidden({.rows = rows})).shape() == Shape({2, 5}));
  if (adapters[0]->prompt() == nullptr) merge_adapters(std::move(model), adapters);
}

std::vector<Seed> seeds() {
  const std::string config =
      R"({"peft_type": "LORA", "r": 2, "lora_alpha": 3, "use_rslora": false, "rank_pattern":
          {"o_proj": 1}, "alpha_pattern": {".*_proj": 5}, "base_model_name_or_path": "b"})";
  const std::string q = "base_model.model.model.layers.0.self_attn.q_proj.";
  const std::string a = q + "lora_A.weight", b = q + "lora_B.weight";
  const char* table = "base_model.model.model.embed_tokens.lora_embedding_A";
  const char* width = "base_model.model.model.embed_tokens.lora_embedding_B";
  return {{"attention", config + '\0' + file_of({{a.c_str(), {2, 4}}, {b.c_str(), {4, 2}}})},
          {"table", config + '\0' + file_of({{table, {2, 5}}, {width, {4, 2}}})},
          {"steering", std::string(1, '\0') + file_of({{"direction.0", {4}}})}};
}

}  // namespace lathe::fuzz
