#include "lathe/model/adapter/lora_adapter.h"

#include "lathe/io/hash.h"
#include "lathe/ops/common.h"

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

}  // namespace lathe
