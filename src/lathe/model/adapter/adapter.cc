#include "lathe/model/adapter/adapter.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/model/adapter/adalora.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

class Prefixed : public ModuleVisitor {
 public:
  Prefixed(ModuleVisitor& to, std::string prefix) : to_(to), prefix_(std::move(prefix)) {}
  void enter(std::string_view name, std::string_view kind) override {
    to_.enter(prefix_ + std::string(name), kind);
    prefixes_.push_back(std::exchange(prefix_, ""));
  }
  void parameter(std::string_view name, Parameter& p) override {
    to_.parameter(prefix_ + std::string(name), p);
  }
  void leave() override {
    to_.leave();
    prefix_ = prefixes_.back();
    prefixes_.pop_back();
  }

 private:
  ModuleVisitor& to_;
  std::string prefix_;
  std::vector<std::string> prefixes_;
};

}  // namespace

Adapter::Adapter(AdapterConfig config, const Transformer& model)
    : config_(std::move(config)),
      activations_(model.activations()),
      device_(model.device()),
      prefix_layers_(model.config().num_hidden_layers),
      prefix_heads_(model.config().kv_heads()) {
  for (const Parameter* p : model.parameters()) shapes_[p->name] = p->shape;
}

void Adapter::visit(ModuleVisitor& v) {
  for (AdaptedModule& module : modules_) {
    Prefixed named(v, module.prefix);
    module.adapter->visit(named);
  }
  for (ReplacedValue& value : replaced_) v.parameter(value.name, value.value);
  if (prompt_ != nullptr) prompt_->visit(v);
}

std::vector<Parameter*> Adapter::parameters() {
  std::vector<Parameter*> all;
  for_each_parameter(*this, [&](const std::string&, Parameter& p) { all.push_back(&p); });
  return all;
}

// visit() is one list for readers and writers; this one only reads.
std::vector<const Parameter*> Adapter::parameters() const {
  const auto all = const_cast<Adapter*>(this)->parameters();
  return {all.begin(), all.end()};
}

void Adapter::allocate(const Transformer& model) {
  for_each_parameter(*this, [&](const std::string& path, Parameter& p) {
    p.name = path;
    const bool rounds = model.activations() == DType::kF64 || p.rounds();
    p.value = Tensor(p.shape, rounds ? model.activations() : DType::kF32, model.device());
  });
}

void Adapter::share() {
  for (AdaptedModule& module : modules_) module.adapter->share(shared_);
}

size_t Adapter::bytes() const {
  size_t sum = 0;
  for (const Parameter* p : parameters()) sum += p->value.bytes();
  for (const auto& [name, t] : shared_) sum += t.bytes();
  return sum;
}

std::string Adapter::why_not(const Transformer& model) const {
  constexpr std::string_view kWhy =
      "the adapter was loaded for another model: '{}' does not fit; load it for this one";
  std::map<std::string_view, const Shape*> theirs;
  for (const Parameter* p : model.parameters()) theirs[p->name] = &p->shape;
  const auto misfits = [&](const std::string& name) {
    const auto found = theirs.find(name);
    return found == theirs.end() || *found->second != shapes_.at(name);
  };
  for (const AdaptedModule& module : modules_)
    if (misfits(module.at.parameter)) return fmt::format(kWhy, module.at.parameter);
  for (const ReplacedValue& value : replaced_)
    if (misfits(value.at.parameter)) return fmt::format(kWhy, value.at.parameter);
  if (model.activations() != activations_ || model.device() != device_)
    return fmt::format(kWhy, "the type of activations");
  return "";
}

Var Adapter::regularization(const Pass& pass) const {
  if (config_.peft_type != "ADALORA") return {};
  const double weight = config_.modules.get<AdaLoraConfig>().orth_reg_weight;
  Var sum;
  double count = 0;
  for (const AdaptedModule& module : modules_)
    for (const Var& term : module.adapter->regularization(pass)) {
      sum = sum.defined() ? ops::add(sum, term) : term;
      ++count;
    }
  return sum.defined() ? ops::scale(sum, weight / count) : sum;
}

}  // namespace lathe
