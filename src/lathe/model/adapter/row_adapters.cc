#include "lathe/model/adapter/row_adapters.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/ops/common.h"
#include "lathe/ops/moe_plan.h"
#include "lathe/ops/pick_rows.h"

namespace lathe {
namespace {

using ops::as_rows;

// f(update) for each update of the parameter.
template <class F>
void for_each_update(const Adaptation& what, std::string_view parameter, F&& f) {
  for (const auto& lora : what.loras)
    for (const LowRankUpdate& update : lora->product(parameter)) f(update);
}

}  // namespace

std::string Adaptation::identity() const {
  std::string all;
  for (const auto& lora : loras) all += lora->identity() + "+";
  return steering ? all + "steering " + steering->identity() : all;
}

RowAdapters::RowAdapters(std::vector<Adaptation> sequences, const Sequences& rows,
                         const Sequences* text) {
  require(
      std::ssize(sequences) == rows.count() && (text == nullptr || text->count() == rows.count()),
      ErrorKind::kShape, "adapters", "{} are given for {} sequences", sequences.size(),
      rows.count());
  if (text != nullptr) {
    std::vector<Adaptation> of_text = sequences;
    for (Adaptation& each : of_text) each.steering.reset();
    text_ = std::make_unique<RowAdapters>(std::move(of_text), *text);
  }
  for (int64_t b = 0; b < rows.count(); ++b) {
    Adaptation& what = sequences[static_cast<size_t>(b)];
    if (rows.length(b) == 0) continue;
    if (!stretches_.empty() && stretches_.back().what == what)
      stretches_.back().rows += rows.length(b);
    else
      stretches_.push_back({std::move(what), rows.first(b), rows.length(b)});
    stretch_of_row_.insert(stretch_of_row_.end(), static_cast<size_t>(rows.length(b)),
                           static_cast<int32_t>(stretches_.size() - 1));
  }
}

void RowAdapters::check(const Pass& pass, int64_t rows) const {
  require(pass.tape == nullptr, ErrorKind::kConfig, "adapters",
          "gradients through adapters are not computed; run the pass without a tape");
  require(rows == std::ssize(stretch_of_row_), ErrorKind::kShape, "adapters",
          "{} rows, expected the {} of the pass", rows, stretch_of_row_.size());
}

Var RowAdapters::add_to_product(const Pass& pass, const Parameter& p, const Var& x, const Var& y,
                                const Var&) const {
  const Tensor in = as_rows(x.value), out = as_rows(y.value);
  check(pass, in.size(0));
  for (const Stretch& s : stretches_)
    for_each_update(s.what, p.name, [&](const LowRankUpdate& update) {
      update.add_product(in.narrow(0, s.first, s.rows), out.narrow(0, s.first, s.rows));
    });
  return y;
}

// The update of one expert acts on those of its rows whose tokens have the adapter.
Var RowAdapters::add_to_expert_product(const Pass& pass, const Parameter& p, const Var& x,
                                       const Var& y, const ops::ExpertPlan& plan) const {
  check(pass, plan.tokens);
  const int64_t outputs = y.shape()[1];
  const int32_t* tokens = plan.token_of_row.data<int32_t>();
  for (size_t s = 0; s < stretches_.size(); ++s)
    for_each_update(stretches_[s].what, p.name, [&](const LowRankUpdate& update) {
      const int64_t expert = update.first_row / outputs;
      LowRankUpdate mine = update;
      mine.first_row = update.first_row % outputs;
      const int64_t begin = plan.begin[static_cast<size_t>(expert)],
                    count = plan.count[static_cast<size_t>(expert)];
      std::vector<int64_t> rows;
      for (int64_t r = begin; r < begin + count; ++r)
        if (stretch_of_row_[static_cast<size_t>(tokens[r])] == static_cast<int32_t>(s))
          rows.push_back(r);
      if (std::ssize(rows) == count)
        return mine.add_product(x.value.narrow(0, begin, count), y.value.narrow(0, begin, count));
      const Tensor sums = rows_at(y.value, rows);
      mine.add_product(rows_at(x.value, rows), sums);
      for (size_t i = 0; i < rows.size(); ++i)
        y.value.narrow(0, rows[i], 1).copy_from(sums.narrow(0, static_cast<int64_t>(i), 1));
    });
  return y;
}

Var RowAdapters::add_to_weight(const Pass& pass, const Parameter& p, const Var& w,
                               size_t stretch) const {
  check(pass, std::ssize(stretch_of_row_));
  if (stretch >= stretches_.size()) return w;
  Tensor sum;
  for_each_update(stretches_[stretch].what, p.name, [&](const LowRankUpdate& update) {
    if (!sum.defined()) sum = w.value.clone();
    ops::kernels_of(sum).axpy(1.0, update.delta(),
                              sum.narrow(0, update.first_row, update.b.size(0)));
  });
  return sum.defined() ? Var(sum) : w;
}

std::vector<int64_t> RowAdapters::stretches() const {
  std::vector<int64_t> lengths;
  for (const Stretch& s : stretches_) lengths.push_back(s.rows);
  return lengths;
}

Var RowAdapters::add_to_lookup(const Pass& pass, const Parameter& p, const Tensor& ids,
                               const Var& y) const {
  const bool any = std::ranges::any_of(stretches_, [&](const Stretch& s) {
    return std::ranges::any_of(s.what.loras,
                               [&](const auto& lora) { return lora->lookup(p.name) != nullptr; });
  });
  if (!any) return y;
  check(pass, ids.numel());
  const Tensor flat = ids.reshape({ids.numel()}), out = as_rows(y.value);
  for (const Stretch& s : stretches_)
    for (const auto& lora : s.what.loras)
      if (const LookupUpdate* update = lora->lookup(p.name))
        update->add_lookup(flat.narrow(0, s.first, s.rows), out.narrow(0, s.first, s.rows));
  return y;
}

Var RowAdapters::add_to_layer_output(const Pass& pass, int64_t layer, const Var& x) const {
  Tensor sum;
  for (const Stretch& s : stretches_) {
    const Tensor* direction = s.what.steering ? s.what.steering->at(layer) : nullptr;
    if (direction == nullptr) continue;
    if (!sum.defined()) sum = x.value.clone();
    const Tensor rows = as_rows(sum), vector = direction->to(sum.device());
    check(pass, rows.size(0));
    for (int64_t r = s.first; r < s.first + s.rows; ++r)
      ops::kernels_of(rows).axpy(s.what.steering->scale, vector,
                                 rows.narrow(0, r, 1).reshape({vector.size(0)}));
  }
  return sum.defined() ? Var(sum) : x;
}

const Adapters& RowAdapters::of_text() const {
  return text_ != nullptr ? static_cast<const Adapters&>(*text_) : *this;
}

}  // namespace lathe
