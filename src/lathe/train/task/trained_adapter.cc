#include "lathe/train/task/trained_adapter.h"

namespace lathe {

std::shared_ptr<Adapter> with_master_copies(Transformer& model,
                                            const std::function<std::unique_ptr<Adapter>()>& make) {
  const DType activations = model.activations();
  if (activations == DType::kBF16) model.set_activations(DType::kF32);
  std::shared_ptr<Adapter> adapter = make();
  model.set_activations(activations);
  return adapter;
}

Trained trained_of(Transformer& model, Adapter* adapter) {
  if (adapter == nullptr) return all_of(model);
  Trained trained;
  for (Parameter* p : adapter->parameters()) {
    trained.parameters.push_back(p);
    trained.weights.push_back(whole_tensor(p->name, *p));
  }
  return trained;
}

void save_trained_adapter(Adapter& adapter, const Transformer& model, const TensorOf& values,
                          const std::filesystem::path& folder) {
  std::vector<std::pair<Parameter*, Weight>> computed;
  for (Parameter* p : adapter.parameters()) {
    computed.emplace_back(p, p->value);
    p->value = values(*p);
  }
  save_adapter(adapter, model, folder);
  for (auto& [p, value] : computed) p->value = std::move(value);
}

}  // namespace lathe
