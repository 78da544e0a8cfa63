#include "lathe/model/adapter/merge.h"

#include <algorithm>
#include <map>

#include "lathe/base/error.h"
#include "lathe/ops/common.h"

namespace lathe {
namespace {

constexpr const char* kTable = "embedding.weight";
constexpr const char* kHead = "head.weight";

std::map<std::string, Parameter*> by_name(Transformer& model) {
  std::map<std::string, Parameter*> all;
  for (Parameter* p : model.parameters()) all[p->name] = p;
  return all;
}

// Memory of its own, which may be written to.
Tensor own_value(Parameter& p) {
  require(
      p.value.packed() == nullptr, ErrorKind::kConfig, p.name,
      "the weight is quantised, and adding an adapter would round it again; load the model with "
      "--weights fp32, merge, and quantise the result");
  const Tensor own = p.value.tensor().clone();
  p.value = own;
  return own;
}

void add(const Tensor& delta, const Tensor& to) { ops::kernels_of(to).axpy(1.0, delta, to); }

}  // namespace

bool parts_tied_head(const Transformer& model, const LoraAdapter& adapter) {
  return model.config().tie_word_embeddings &&
         (!adapter.product(kTable).empty() || adapter.lookup(kTable) != nullptr);
}

std::unique_ptr<Transformer> with_own_head(std::unique_ptr<Transformer> model) {
  if (!model->config().tie_word_embeddings) return model;
  ModelConfig config = model->config();
  config.logit_scale = config.head_scale();
  config.tie_word_embeddings = config.scale_tied_head = false;
  auto untied = std::make_unique<Transformer>(config);
  untied->set_activations(model->activations());
  const auto from = by_name(*model);
  for (const auto& [name, p] : by_name(*untied)) {
    const std::string source = name == kHead ? kTable : name == "head.bias" ? "head_bias" : name;
    p->value = name == kHead && from.at(source)->value.packed() == nullptr
                   ? Weight(from.at(source)->value.tensor().clone())
                   : from.at(source)->value;
  }
  return untied;
}

std::unique_ptr<Transformer> merge_adapters(
    std::unique_ptr<Transformer> model,
    std::span<const std::shared_ptr<const LoraAdapter>> adapters) {
  const bool parts = std::ranges::any_of(
      adapters, [&](const auto& each) { return parts_tied_head(*model, *each); });
  if (parts) model = with_own_head(std::move(model));
  const auto parameters = by_name(*model);
  for (const auto& adapter : adapters) {
    for (const auto& [name, updates] : adapter->products()) {
      const Tensor value = own_value(*parameters.at(parts && name == kTable ? kHead : name));
      for (const LowRankUpdate& update : updates)
        add(update.delta(), value.narrow(0, update.first_row, update.b.size(0)));
    }
    for (const auto& [name, update] : adapter->lookups())
      add(update.delta(), own_value(*parameters.at(name)));
  }
  return model;
}

}  // namespace lathe
