#include "lathe/model/adapter/merge.h"

#include <algorithm>
#include <map>

#include "lathe/base/error.h"
#include "lathe/model/adapter/applied_adapters.h"

namespace lathe {
namespace {

constexpr const char* kTable = "embedding.weight";
constexpr const char* kHead = "head.weight";

std::map<std::string, Parameter*> by_name(Transformer& model) {
  std::map<std::string, Parameter*> all;
  for (Parameter* p : model.parameters()) all[p->name] = p;
  return all;
}

Var own_value(const Parameter& p) {
  require(
      p.value.packed() == nullptr, ErrorKind::kConfig, p.name,
      "the weight is quantised, and adding an adapter would round it again; load the model with "
      "--weights fp32, merge, and quantise the result");
  return Var(p.value.tensor());
}

// In the parameter's own type.
void set(Parameter& p, const Var& value) { p.value = value.value.to(p.value.tensor().dtype()); }

class Merger {
 public:
  // `parted`: the head has become a parameter of its own.
  Merger(Transformer& model, bool parted) : parameters_(by_name(model)), parted_(parted) {}

  void merge(const Adapter& adapter) const {
    require(adapter.prompt() == nullptr, ErrorKind::kConfig, "merge",
            "{} puts virtual tokens before a text, which are in no weight; use it as an adapter",
            adapter.config().peft_type);
    for (const ReplacedValue& value : adapter.replaced()) {
      const bool table = value.at.parameter == kTable;
      if (!parted_ || !table || value.in_lookups) put(value, *parameters_.at(value.at.parameter));
      if (parted_ && table && value.in_products) put(value, *parameters_.at(kHead));
    }
    for (const AdaptedModule& module : adapter.modules()) {
      const bool head = parted_ && module.at.parameter == kTable && !module.is_lookup;
      Parameter& p = *parameters_.at(head ? kHead : module.at.parameter);
      if (module.adapter->changes_bias()) put_bias(module, p.name);
      set(p, with_module({}, module, own_value(p)));
    }
  }

 private:
  static void put(const ReplacedValue& value, Parameter& p) {
    set(p, with_value({}, value, own_value(p)));
  }

  void put_bias(const AdaptedModule& module, const std::string& weight) const {
    constexpr std::string_view kWeight = ".weight";
    const auto found = parameters_.find(weight.substr(0, weight.size() - kWeight.size()) + ".bias");
    if (found == parameters_.end() && !module.adapter->bias({}, Var()).defined())
      return;  // scales a bias that is not there
    require(found != parameters_.end(), ErrorKind::kConfig, "merge",
            "the adapter adds a bias to '{}', which has none in this model and so no place for it; "
            "use it as an adapter",
            module.site.module);
    Parameter& p = *found->second;
    set(p, with_bias(module, own_value(p)));
  }

  std::map<std::string, Parameter*> parameters_;
  bool parted_;
};

}  // namespace

bool parts_tied_head(const Transformer& model, const Adapter& adapter) {
  if (!model.config().tie_word_embeddings || model.config().num_labels > 0) return false;
  const auto acts = [](const auto& each) { return each.at.parameter == kTable; };
  return std::ranges::any_of(adapter.modules(), acts) ||
         std::ranges::any_of(adapter.replaced(), [&](const ReplacedValue& each) {
           return acts(each) && each.in_lookups != each.in_products;
         });
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
    std::unique_ptr<Transformer> model, std::span<const std::shared_ptr<const Adapter>> adapters) {
  const bool parts = std::ranges::any_of(
      adapters, [&](const auto& each) { return parts_tied_head(*model, *each); });
  if (parts) model = with_own_head(std::move(model));
  const Merger merger(*model, parts);
  for (const auto& adapter : adapters) merger.merge(*adapter);
  return model;
}

}  // namespace lathe
