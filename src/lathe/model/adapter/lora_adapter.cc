#include "lathe/model/adapter/lora_adapter.h"

#include "lathe/base/error.h"
#include "lathe/io/hash.h"
#include "lathe/ops/common.h"
#include "lathe/ops/rearrange.h"

namespace lathe {
namespace {

using kernels::Write;

// scale · x·Aᵀ.
Tensor scaled_product(const Tensor& x, const Tensor& a, double scale) {
  const auto& k = ops::kernels_of(x);
  Tensor narrow({x.size(0), a.size(0)}, x.dtype(), x.device());
  k.row_matmul(x, a.transpose(0, 1), TensorView(), narrow, Write::kOverwrite);
  k.scale(scale, narrow, narrow);
  return narrow;
}

void add(Hasher& hasher, const Tensor& t) {
  hasher.update(fmt::format("{} {}", name_of(t.dtype()), t.shape()));
  hasher.update(std::span<const std::byte>(t.raw(), t.bytes()));
}

}  // namespace

void LowRankUpdate::add_product(const Tensor& x, const Tensor& y) const {
  if (x.size(0) == 0) return;
  const Tensor mine = y.narrow(1, first_row, b.size(0));
  ops::kernels_of(x).row_matmul(scaled_product(x, a, scale), b.transpose(0, 1), TensorView(), mine,
                                Write::kAccumulate);
}

Tensor LowRankUpdate::delta() const {
  const auto& k = ops::kernels_of(a);
  Tensor product({b.size(0), a.size(1)}, a.dtype(), a.device());
  k.row_matmul(b, a, TensorView(), product, Write::kOverwrite);
  k.scale(scale, product, product);
  return product;
}

void LookupUpdate::add_lookup(const Tensor& ids, const Tensor& y) const {
  if (ids.numel() == 0) return;
  const auto& k = ops::kernels_of(a);
  Tensor narrow({ids.numel(), a.size(1)}, a.dtype(), a.device());
  k.gather_rows(a, ids, TensorView(), narrow);
  k.scale(scale, narrow, narrow);
  k.row_matmul(narrow, b.transpose(0, 1), TensorView(), y, Write::kAccumulate);
}

Tensor LookupUpdate::delta() const {
  const auto& k = ops::kernels_of(a);
  Tensor product({a.size(0), b.size(0)}, a.dtype(), a.device());
  k.row_matmul(a, b.transpose(0, 1), TensorView(), product, Write::kOverwrite);
  k.scale(scale, product, product);
  return product;
}

LoraAdapter::LoraAdapter(Updates products, Lookups lookups)
    : products_(std::move(products)), lookups_(std::move(lookups)) {
  Hasher hasher;
  for (const auto& [name, updates] : products_)
    for (const LowRankUpdate& u : updates) {
      hasher.update(fmt::format("product {} {} {}", name, u.first_row, u.scale));
      add(hasher, u.a);
      add(hasher, u.b);
      bytes_ += u.a.bytes() + u.b.bytes();
    }
  for (const auto& [name, u] : lookups_) {
    hasher.update(fmt::format("lookup {} {}", name, u.scale));
    add(hasher, u.a);
    add(hasher, u.b);
    bytes_ += u.a.bytes() + u.b.bytes();
  }
  identity_ = hasher.hex();
}

std::string LoraAdapter::why_not(const Transformer& model) const {
  std::map<std::string_view, const Shape*> shapes;
  for (const Parameter* p : model.parameters()) shapes[p->name] = &p->shape;
  const auto fits = [&](const std::string& name, int64_t rows, int64_t columns, const Tensor& a) {
    const auto found = shapes.find(name);
    return found != shapes.end() && rows <= (*found->second)[0] && columns == (*found->second)[1] &&
           a.dtype() == model.activations() && a.device() == model.device();
  };
  constexpr std::string_view kWhy =
      "the adapter was loaded for another model: '{}' does not fit; load it for this one";
  for (const auto& [name, updates] : products_)
    for (const LowRankUpdate& u : updates)
      if (!fits(name, u.first_row + u.b.size(0), u.a.size(1), u.a)) return fmt::format(kWhy, name);
  for (const auto& [name, u] : lookups_)
    if (!fits(name, u.a.size(0), u.b.size(0), u.a)) return fmt::format(kWhy, name);
  return "";
}

std::span<const LowRankUpdate> LoraAdapter::product(std::string_view parameter) const {
  const auto found = products_.find(parameter);
  return found == products_.end() ? std::span<const LowRankUpdate>() : found->second;
}

const LookupUpdate* LoraAdapter::lookup(std::string_view parameter) const {
  const auto found = lookups_.find(parameter);
  return found == lookups_.end() ? nullptr : &found->second;
}

namespace {

void check_low_rank(const Adapter& adapter, std::string_view where) {
  const std::string& kind = adapter.config().peft_type;
  const auto refuse = [&](const std::string& what, std::string_view advice) {
    fail(ErrorKind::kConfig, where, "{} {}, which cannot be chosen for each request; {}", kind,
         what, advice);
  };
  constexpr std::string_view kMerge = "`lathe merge` makes it part of the weights";
  if (adapter.prompt() != nullptr)
    refuse("puts virtual tokens before the text",
           "`lathe logits` computes with it, for generating use another kind");
  if (!adapter.replaced().empty())
    refuse(fmt::format("has '{}' in place of the model's own", adapter.replaced()[0].name), kMerge);
  for (const AdaptedModule& module : adapter.modules())
    if (module.adapter->factors().empty())
      refuse(fmt::format("changes '{}' by more than two narrow matrices", module.site.module),
             kMerge);
}

}  // namespace

std::shared_ptr<const LoraAdapter> low_rank_updates(const Adapter& adapter,
                                                    std::string_view where) {
  check_low_rank(adapter, where);
  LoraAdapter::Updates products;
  LoraAdapter::Lookups lookups;
  for (const AdaptedModule& module : adapter.modules()) {
    const RowsOfParameter& at = module.at;
    int64_t first_row = at.first_row;
    for (LowRankFactors& each : module.adapter->factors()) {
      if (module.is_lookup) {
        lookups[at.parameter] = {each.a, each.b, each.scale};
        continue;
      }
      if (at.order.defined()) each.b = ops::take_rows(Var(each.b), at.order).value;
      products[at.parameter].push_back({first_row, each.a, each.b, each.scale});
      first_row += each.b.size(0);
    }
  }
  return std::make_shared<const LoraAdapter>(std::move(products), std::move(lookups));
}

std::shared_ptr<const LoraAdapter> load_lora(const std::filesystem::path& folder,
                                             Transformer& model, const Log& log) {
  return low_rank_updates(*load_adapter(folder, model, log), folder.string());
}

}  // namespace lathe
