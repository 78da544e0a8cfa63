#include "lathe/model/adapter/applied_adapters.h"

#include "lathe/base/error.h"
#include "lathe/nn/product.h"
#include "lathe/ops/common.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/moe_plan.h"
#include "lathe/ops/moe_routing.h"
#include "lathe/ops/rearrange.h"

namespace lathe {
namespace {

// From the order of the parameter's rows to that of the file, and back.
Tensor inverse(const Tensor& order) {
  Tensor back(order.shape(), DType::kI32);
  for (int64_t i = 0; i < order.numel(); ++i)
    back.data<int32_t>()[order.data<int32_t>()[i]] = static_cast<int32_t>(i);
  return back;
}

Var rows_in_file(const RowsOfParameter& at, const Var& all) {
  const Var rows = at.rows == all.shape()[0] ? all : ops::narrow(all, 0, at.first_row, at.rows);
  return at.order.defined() ? ops::take_rows(rows, inverse(at.order)) : rows;
}

Var rows_in_parameter(const RowsOfParameter& at, const Var& of_file) {
  return at.order.defined() ? ops::take_rows(of_file, at.order) : of_file;
}

Var put_rows(const RowsOfParameter& at, const Var& all, const Var& of_file) {
  const Var rows = rows_in_parameter(at, of_file);
  if (rows.shape() == all.shape()) return rows;
  return ops::replace_rows(all, ops::consecutive(at.first_row, at.rows), rows);
}

Var as_matrix(const Var& x) {
  const int64_t width = x.shape()[-1];
  return ops::reshape(x, {width == 0 ? 0 : x.value.numel() / width, width});
}

}  // namespace

Var with_module(const Pass& pass, const AdaptedModule& module, const Var& w) {
  if (module.is_lookup) return module.adapter->weight(pass, w);
  const RowsOfParameter& at = module.at;
  return put_rows(at, w, module.adapter->weight(pass, rows_in_file(at, w)));
}

Var with_bias(const AdaptedModule& module, const Var& b) {
  return put_rows(module.at, b, module.adapter->bias({}, rows_in_file(module.at, b)));
}

Var with_value(const Pass& pass, const ReplacedValue& value, const Var& own) {
  Var v = pass.use(value.value);
  // The wider of the two types: gains and biases that are trained are in f32, whatever the model's.
  const bool narrow = size_of(own.value.dtype()) < size_of(v.value.dtype());
  const DType type = narrow ? v.value.dtype() : own.value.dtype();
  v = ops::cast(v, type);
  const Var wide = ops::cast(own, type);
  if (value.only_rows.defined()) return ops::replace_rows(wide, value.only_rows, v);
  if (value.transposed) v = ops::transpose(v);
  if (value.added != 0) v = ops::shift(v, -value.added);
  return put_rows(value.at, wide, v);
}

AppliedAdapters::AppliedAdapters(std::vector<std::shared_ptr<const Adapter>> adapters,
                                 std::optional<Steering> steering, const Rng& rng)
    : adapters_(std::move(adapters)), steering_(std::move(steering)), rng_(rng) {
  for (const auto& adapter : adapters_) {
    for (const AdaptedModule& module : adapter->modules()) {
      Acting& acting = acting_[module.at.parameter];
      (module.is_lookup ? acting.lookups : acting.products).push_back(&module);
    }
    for (const ReplacedValue& value : adapter->replaced())
      acting_[value.at.parameter].replaced.push_back(&value);
    if (adapter->prompt() == nullptr) continue;
    require(prompt_ == nullptr, ErrorKind::kConfig, "adapters",
            "two of the adapters put tokens before the text, whose order nobody says; give one");
    prompt_ = adapter.get();
  }
  if (steering_)
    text_ = std::make_unique<AppliedAdapters>(adapters_, std::nullopt, rng.fork("text"));
}

const AppliedAdapters::Acting* AppliedAdapters::acting_on(const Parameter& p) const {
  const auto found = acting_.find(p.name);
  return found == acting_.end() ? nullptr : &found->second;
}

Var AppliedAdapters::apply(const Pass& pass, const Parameter& p, const AdaptedModule& module,
                           const Var& x, const Var& y, const Var& b) const {
  const RowsOfParameter& at = module.at;
  const bool moved = at.order.defined();
  const ModuleAdapter::Product product{
      .x = x,
      .out = y.value.dtype(),
      .y =
          [&] {
            const Var part = ops::narrow(y, 1, at.first_row, at.rows);
            return moved ? ops::permute_columns(part, inverse(at.order)) : part;
          },
      .w = [&] { return rows_in_file(at, matrix_of(pass, p, x.value.dtype())); },
      .b = [&] { return b.defined() ? rows_in_file(at, b) : Var(); },
      .rng = rng_.fork(p.name).fork(static_cast<uint64_t>(at.first_row))};
  Var added = module.adapter->added(pass, product);
  if (moved) added = ops::permute_columns(added, at.order);
  return ops::add_block(y, 0, at.first_row, added);
}

Var AppliedAdapters::add_to_product(const Pass& pass, const Parameter& p, const Var& x,
                                    const Var& y, const Var& b) const {
  const Acting* acting = acting_on(p);
  if (acting == nullptr || acting->products.empty()) return y;
  const Var rows = as_matrix(x);
  Var sum = as_matrix(y);
  for (const AdaptedModule* module : acting->products) sum = apply(pass, p, *module, rows, sum, b);
  return ops::reshape(sum, y.shape());
}

Var AppliedAdapters::add_to_expert_product(const Pass& pass, const Parameter& p, const Var& x,
                                           const Var& y, const ops::ExpertPlan& plan) const {
  const Acting* acting = acting_on(p);
  if (acting == nullptr) return y;
  const int64_t outputs = y.shape()[1];
  Var sum = y;
  for (const AdaptedModule* module : acting->products) {
    const RowsOfParameter& at = module->at;
    if (at.rows == plan.experts() * outputs) {
      sum = ops::add_block(sum, 0, 0, module->adapter->added_to_experts(pass, x, plan));
      continue;
    }
    // One matrix of one expert, for the rows that were sent to it.
    const int64_t expert = at.first_row / outputs, begin = plan.begin[static_cast<size_t>(expert)],
                  count = plan.count[static_cast<size_t>(expert)];
    if (count == 0) continue;
    const Var mine = ops::narrow(x, 0, begin, count);
    RowsOfParameter within = at;
    within.first_row = at.first_row % outputs;
    const ModuleAdapter::Product product{
        .x = mine,
        .out = y.value.dtype(),
        .y =
            [&] {
              const Var rows = ops::narrow(sum, 0, begin, count);
              return ops::narrow(rows, 1, within.first_row, within.rows);
            },
        .w = [&] { return rows_in_file(at, matrix_of(pass, p, x.value.dtype())); },
        .b = [] { return Var(); },
        .rng = rng_.fork(p.name).fork(static_cast<uint64_t>(at.first_row))};
    Var added = module->adapter->added(pass, product);
    if (at.order.defined()) added = ops::permute_columns(added, at.order);
    sum = ops::add_block(sum, begin, within.first_row, added);
  }
  return sum;
}

Var AppliedAdapters::add_to_weight(const Pass& pass, const Parameter& p, const Var& w,
                                   size_t) const {
  const Acting* acting = acting_on(p);
  if (acting == nullptr) return w;
  Var sum = w;
  for (const AdaptedModule* module : acting->products) {
    require(!module->adapter->changes_bias(), ErrorKind::kConfig, p.name,
            "an adapter changes the bias of this matrix, which is used without one here; leave it "
            "out of the adapter's targets");
    sum = with_module(pass, *module, sum);
  }
  return sum;
}

Var AppliedAdapters::add_to_lookup(const Pass& pass, const Parameter& p, const Tensor& ids,
                                   const Var& y) const {
  const Acting* acting = acting_on(p);
  if (acting == nullptr) return y;
  Var sum = y;
  for (const AdaptedModule* module : acting->lookups) {
    const Tensor flat = ids.reshape({ids.numel()});
    const Var added = ops::cast(module->adapter->added_to_lookup(pass, flat), y.value.dtype());
    sum = ops::add(sum, ops::reshape(added, y.shape()));
  }
  return sum;
}

std::optional<Var> AppliedAdapters::replacement(const Pass& pass, const Parameter& p,
                                                ParameterUse use) const {
  const Acting* acting = acting_on(p);
  if (acting == nullptr) return std::nullopt;
  std::optional<Var> value;
  for (const ReplacedValue* each : acting->replaced) {
    if ((use == ParameterUse::kProduct && !each->in_products) ||
        (use == ParameterUse::kLookup && !each->in_lookups))
      continue;
    if (!value)
      value = p.value.packed() != nullptr ? Var(p.value.packed()->dense(DType::kF32)) : pass.own(p);
    value = with_value(pass, *each, *value);
  }
  return value;
}

int64_t AppliedAdapters::virtual_tokens() const {
  return prompt_ != nullptr ? prompt_->virtual_tokens() : 0;
}

Var AppliedAdapters::virtual_embeddings(const Pass& pass) const {
  if (prompt_ == nullptr || prompt_->is_prefix()) return {};
  return prompt_->prompt()->vectors(pass);
}

std::optional<KeyValuePrefix> AppliedAdapters::prefix_of_layer(const Pass& pass,
                                                               int64_t layer) const {
  if (prompt_ == nullptr || !prompt_->is_prefix()) return std::nullopt;
  const int64_t layers = prompt_->prefix_layers();
  if (layer >= layers) return std::nullopt;  // of multi-token prediction
  const Var all = prompt_->prompt()->vectors(pass);
  const int64_t count = all.shape()[0], width = all.shape()[1] / (2 * layers),
                heads = prompt_->prefix_heads();
  const auto part = [&](int64_t which) {
    const Var vectors = ops::narrow(all, 1, which * width, width);
    return ops::reshape(vectors, {count, heads, width / heads});
  };
  return KeyValuePrefix{part(2 * layer), part(2 * layer + 1)};
}

Var AppliedAdapters::add_to_layer_output(const Pass&, int64_t layer, const Var& x) const {
  const Tensor* direction = steering_ ? steering_->at(layer) : nullptr;
  if (direction == nullptr) return x;
  const Tensor moved = direction->to(x.value.dtype()).to(x.value.device());
  return ops::add(x, ops::scale(Var(moved), steering_->scale));
}

const Adapters& AppliedAdapters::of_text() const {
  return text_ != nullptr ? static_cast<const Adapters&>(*text_) : *this;
}

Var AppliedAdapters::regularization(const Pass& pass) const {
  Var sum;
  for (const auto& adapter : adapters_)
    if (const Var term = adapter->regularization(pass); term.defined())
      sum = sum.defined() ? ops::add(sum, term) : term;
  return sum;
}

}  // namespace lathe
