// Writing an adapter as PEFT reads it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/config/read_write.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/adapter/adapter.h"
#include "lathe/model/adapter/module_adapter.h"

namespace lathe {
namespace {

void write(const std::filesystem::path& file, const TensorsByName& tensors) {
  std::vector<Tensor> kept;
  std::vector<ArraySpan> arrays;
  for (const auto& [name, t] : tensors) {
    kept.push_back(t.to(DType::kF32).to(Device::kCpu));
    const auto dims = kept.back().shape().dims();
    arrays.push_back(
        {name, "F32", {dims.begin(), dims.end()}, {kept.back().raw(), kept.back().bytes()}});
  }
  write_safetensors(file, arrays);
}

// What PiSSA is saved as: the same scale with twice the rank.
AdapterConfig as_plain_lora(AdapterConfig config, const ModuleAdapterTraits& traits) {
  read_config(config, {{"init_lora_weights", "true"}}, "adapter");
  const int64_t r = config.r.value_or(traits.default_rank);
  config.r = 2 * r;
  config.lora_alpha = 2 * config.lora_alpha.value_or(traits.default_alpha);
  for (std::string& each : config.rank_pattern) {
    const size_t at = each.rfind('=') + 1;
    each = fmt::format("{}{}", each.substr(0, at), 2 * std::stoll(each.substr(at)));
  }
  for (std::string& each : config.alpha_pattern) {
    const size_t at = each.rfind('=') + 1;
    each = fmt::format("{}{}", each.substr(0, at), 2 * std::stod(each.substr(at)));
  }
  return config;
}

AdapterConfig saved_config(const Adapter& adapter) {
  const AdapterConfig& config = adapter.config();
  for (const ModuleAdapterKind& kind : module_adapters()) {
    if (kind.name != config.peft_type) continue;
    const ModuleAdapterTraits traits = kind.traits({}, config.modules.of(config.peft_type));
    if (!traits.keeps_configuration) return as_plain_lora(config, traits);
  }
  return config;
}

// Of a tensor with a rank for each of `kept`'s characters those that are "1".
Tensor ranks_left(const Tensor& t, int dim, std::string_view kept) {
  if (t.size(dim) != std::ssize(kept)) return t;  // those that are gone have no place any more
  const Tensor out(t.shape().with(dim, std::ranges::count(kept, '1')), t.dtype(), t.device());
  int64_t to = 0;
  for (int64_t i = 0; i < std::ssize(kept); ++i)
    if (kept[static_cast<size_t>(i)] == '1')
      out.narrow(dim, to++, 1).copy_from(t.narrow(dim, i, 1));
  return out;
}

TensorsByName saved_tensors(const AdaptedModule& module, const AdapterConfig& config) {
  TensorsByName all = module.adapter->saved();
  if (config.peft_type != "ADALORA") return all;
  for (const std::string& each : config.rank_pattern) {
    const size_t at = each.rfind('=');
    if (each.substr(0, at) != module.site.module) continue;
    for (auto& [name, t] : all)
      t = ranks_left(t, name == "lora_B" ? 1 : 0, std::string_view(each).substr(at + 1));
  }
  return all;
}

}  // namespace

void save_adapter(const Adapter& adapter, const Transformer& model,
                  const std::filesystem::path& folder) {
  TensorsByName tensors;
  for (const AdaptedModule& module : adapter.modules())
    for (const auto& [name, t] : saved_tensors(module, adapter.config()))
      tensors[module.prefix + name] = t;
  for (const ReplacedValue& value : adapter.replaced())
    tensors[value.name] = value.value.value.tensor();
  for (const auto& [name, t] : adapter.shared()) tensors["base_model." + name] = t;
  std::vector<std::pair<std::string, int64_t>> sizes;
  if (const PromptEncoder* prompt = adapter.prompt()) {
    tensors["prompt_embeddings"] = prompt->vectors({}).value;
    const ModelConfig& c = model.config();
    const bool prefix = adapter.is_prefix();
    sizes = {{"num_layers", c.num_hidden_layers},
             {"token_dim", prefix ? c.kv_heads() * c.head_width() : c.hidden_size},
             {"num_attention_heads", prefix ? c.kv_heads() : c.num_attention_heads},
             {"num_transformer_submodules", 1}};
    TensorsByName encoder;
    for (const Parameter* p : adapter.parameters()) encoder[p->name] = p->value.tensor();
    if (!encoder.contains("prompt_embeddings")) write(folder / "encoder.safetensors", encoder);
  }
  write(folder / "adapter_model.safetensors", tensors);
  AdapterConfig config = saved_config(adapter);
  if (!config.task_type)
    config.task_type = model.config().body_traits().encoder ? "SEQ_2_SEQ_LM" : "CAUSAL_LM";
  write_adapter_config(folder / "adapter_config.json", config, sizes);
}

}  // namespace lathe
