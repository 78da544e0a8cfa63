#include "lathe/model/adapter/rank_allocator.h"

#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/model/adapter/adalora.h"

namespace lathe {
namespace {

// "model.layers.0.self_attn.q_proj=1101", as AdapterConfig has it.
std::string left_of(const std::string& module, const std::vector<bool>& kept) {
  std::string text = module + "=";
  for (const bool each : kept) text += each ? '1' : '0';
  return text;
}

}  // namespace

RankAllocator::RankAllocator(Adapter& adapter) : adapter_(adapter) {
  const AdapterConfig& config = adapter.config();
  require(config.peft_type == "ADALORA", ErrorKind::kConfig, "adapter.peft_type",
          "ranks are allocated for ADALORA, not for {}", config.peft_type);
  const auto& c = config.modules.get<AdaLoraConfig>();
  require(c.total_step.has_value(), ErrorKind::kConfig, "adapter.total_step",
          "is not set, but the schedule of ranks follows from it; write the number of steps");
  tinit_ = c.tinit;
  total_ = *c.total_step;
  delta_ = c.delta_t;
  end_ = total_ - c.tfinal;
  beta1_ = c.beta1;
  beta2_ = c.beta2;
  require(tinit_ < end_, ErrorKind::kConfig, "adapter.total_step",
          "{} steps have no room between tinit = {} and tfinal = {}; train longer, or lower them",
          total_, tinit_, c.tfinal);
  for (const AdaptedModule& module : adapter.modules()) {
    Triplet triplet{.module = module.site.module, .a = nullptr, .b = nullptr, .e = nullptr};
    for_each_parameter(*module.adapter, [&](const std::string& name, Parameter& p) {
      (name == "lora_A" ? triplet.a : name == "lora_B" ? triplet.b : triplet.e) = &p;
    });
    first_budget_ += triplet.a->shape[0];
    triplets_.push_back(triplet);
  }
  last_budget_ = c.target_r * std::ssize(triplets_);
}

int64_t RankAllocator::budget(int64_t step) const {
  if (step <= tinit_) return first_budget_;
  if (step > end_) return last_budget_;
  const double left = 1 - static_cast<double>(step - tinit_) / static_cast<double>(end_ - tinit_);
  return static_cast<int64_t>(static_cast<double>(first_budget_ - last_budget_) *
                                  (left * left * left) +
                              static_cast<double>(last_budget_));
}

void RankAllocator::measure(const Parameter& p, ParameterGradients& gradients) {
  const GradBuffer* gradient = gradients.find(p);
  require(gradient != nullptr, ErrorKind::kShape, p.name, "has no gradient");
  const auto value = p.value.tensor().to_vector(), slope = gradient->tensor.to_vector();
  const auto average = [&](const char* what) {
    Tensor& t = state_[what + p.name];
    if (!t.defined()) t = Tensor::zeros(p.shape, DType::kF64);
    return t.data<double>();
  };
  double *sensitivity = average("sensitivity."), *uncertainty = average("uncertainty.");
  for (size_t i = 0; i < value.size(); ++i) {
    const double now = gradient->written ? std::abs(value[i] * slope[i]) : 0.0;
    sensitivity[i] = beta1_ * sensitivity[i] + (1 - beta1_) * now;
    uncertainty[i] = beta2_ * uncertainty[i] + (1 - beta2_) * std::abs(now - sensitivity[i]);
  }
}

// The mean of the importances over the other dimension, for each index of `dim`.
std::vector<double> RankAllocator::importance(const Parameter& p, int dim) const {
  const auto sensitivity = state_.at("sensitivity." + p.name).to_vector(),
             uncertainty = state_.at("uncertainty." + p.name).to_vector();
  const auto rows = static_cast<size_t>(p.shape[0]), columns = static_cast<size_t>(p.shape[1]);
  std::vector<double> sums(dim == 0 ? rows : columns, 0.0);
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c)
      sums[dim == 0 ? r : c] += sensitivity[r * columns + c] * uncertainty[r * columns + c];
  for (double& sum : sums) sum /= static_cast<double>(dim == 0 ? columns : rows);
  return sums;
}

void RankAllocator::take_away(int64_t budget, const Zero& zero) {
  std::vector<std::vector<double>> scores;
  std::vector<double> all;
  for (const Triplet& t : triplets_) {
    std::vector<double> sum = importance(*t.e, 0);
    const auto a = importance(*t.a, 0), b = importance(*t.b, 1);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += a[i] + b[i];
    all.insert(all.end(), sum.begin(), sum.end());
    scores.push_back(std::move(sum));
  }
  const auto taken = static_cast<size_t>(std::max<int64_t>(0, first_budget_ - budget));
  std::ranges::sort(all);
  std::vector<std::string>& pattern = adapter_.config().rank_pattern;
  pattern.clear();
  for (size_t m = 0; m < triplets_.size(); ++m) {
    std::vector<bool> kept;
    for (const double score : scores[m]) kept.push_back(taken == 0 || score > all[taken - 1]);
    pattern.push_back(left_of(triplets_[m].module, kept));
  }
  keep_away(zero);
}

// Those that are not left in the configuration stay zero.
void RankAllocator::keep_away(const Zero& zero) const {
  const auto& pattern = adapter_.config().rank_pattern;
  for (size_t m = 0; m < std::min(triplets_.size(), pattern.size()); ++m) {
    const std::string kept = pattern[m].substr(pattern[m].rfind('=') + 1);
    std::vector<int64_t> rows;
    for (size_t i = 0; i < kept.size(); ++i)
      if (kept[i] == '0') rows.push_back(static_cast<int64_t>(i));
    if (!rows.empty()) zero(*triplets_[m].e, rows);
  }
}

void RankAllocator::update(int64_t step, ParameterGradients& gradients, const Zero& zero) {
  if (step > end_) return keep_away(zero);
  if (step < end_)
    for (const Triplet& t : triplets_)
      for (const Parameter* p : {t.a, t.b, t.e}) measure(*p, gradients);
  const bool due = step > tinit_ && step % delta_ == 0;
  if (due || step == end_) take_away(budget(step), zero);
  if (step == end_) state_.clear();
}

void RankAllocator::restore(TensorsByName state) {
  for (const auto& [name, t] : state) {
    const size_t dot = name.find('.');
    const std::string kept = dot == std::string::npos ? "" : name.substr(dot + 1);
    const auto fits = [&kept, &shape = t.shape()](const Parameter* p) {
      return p->name == kept && p->shape == shape;
    };
    require(std::ranges::any_of(
                triplets_,
                [&](const Triplet& each) { return fits(each.a) || fits(each.b) || fits(each.e); }),
            ErrorKind::kFormat, "adapter", "'{}' {} is of another adapter", name, t.shape());
  }
  state_ = std::move(state);
}

}  // namespace lathe
