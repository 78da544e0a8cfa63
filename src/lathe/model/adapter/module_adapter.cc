#include "lathe/model/adapter/module_adapter.h"

#include <algorithm>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/nn/initialize.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/linear.h"
#include "lathe/ops/moe_routing.h"
#include "lathe/ops/rearrange.h"
#include "lathe/text/split/regex.h"

namespace lathe {

// One per file in kinds/.
ModuleAdapterKind lora_adapter();
ModuleAdapterKind adalora_adapter();
ModuleAdapterKind ia3_adapter();
ModuleAdapterKind vera_adapter();
ModuleAdapterKind loha_adapter();
ModuleAdapterKind lokr_adapter();
ModuleAdapterKind oft_adapter();
ModuleAdapterKind miss_adapter();
ModuleAdapterKind bottleneck_adapter();

std::span<const ModuleAdapterKind> module_adapters() {
  static const ModuleAdapterKind kKinds[] = {
      lora_adapter(), adalora_adapter(), ia3_adapter(),  vera_adapter(),      loha_adapter(),
      lokr_adapter(), oft_adapter(),     miss_adapter(), bottleneck_adapter()};
  return kKinds;
}

Var ModuleAdapter::added_to_lookup(const Pass&, const Tensor&) const {
  fail(ErrorKind::kConfig, kind(), "does not act on tables of embeddings");
}

Var ModuleAdapter::added_to_experts(const Pass&, const Var&, const ops::ExpertPlan&) const {
  fail(ErrorKind::kConfig, kind(), "does not act on the stacked matrices of experts");
}

void ModuleAdapter::start(const Tensor&, const Rng& rng) {
  for_each_parameter(*this,
                     [&](const std::string& path, Parameter& p) { draw(p, rng.fork(path)); });
}

// visit() is one list for readers and writers; this one only reads.
TensorsByName ModuleAdapter::saved() const {
  TensorsByName all;
  for_each_parameter(const_cast<ModuleAdapter&>(*this),
                     [&](const std::string& path, Parameter& p) { all[path] = p.value.tensor(); });
  return all;
}

Var plus(const Var& w, const Var& delta) {
  return ops::add(ops::cast(w, delta.value.dtype()), delta);
}

Var matmul(const Var& a, const Var& b) { return ops::linear(a, ops::transpose(b), Var()); }

Var scale_rows_of(const Var& w, const Var& factors) {
  return ops::transpose(ops::multiply(ops::transpose(w), factors));
}

Tensor repeated_identity(int64_t rows, int64_t columns, DType dtype, Device device) {
  std::vector<double> values(static_cast<size_t>(rows * columns), 0.0);
  for (int64_t i = 0; i < std::max(rows, columns); ++i)
    values[static_cast<size_t>((i % rows) * columns + i % columns)] = 1.0;
  return Tensor::of<double>(values, {rows, columns}, device).to(dtype);
}

bool names_module(std::span<const std::string> targets, std::string_view module,
                  std::string_view origin) {
  constexpr std::string_view kSigns = "\\*+?()[]{}|^$";
  for (const std::string& target : targets) {
    if (target.find_first_of(kSigns) == std::string::npos) {
      if (module == target ||
          (module.ends_with(target) && module[module.size() - target.size() - 1] == '.'))
        return true;
      continue;
    }
    bool whole = false;
    Regex("\\A(?:" + target + ")\\z", origin).for_each_match(module, [&](size_t, size_t) {
      whole = true;
    });
    if (whole) return true;
  }
  return false;
}

}  // namespace lathe
