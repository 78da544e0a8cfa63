#include "lathe/nn/moe/moe.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "lathe/base/catalogue.h"
#include "lathe/nn/moe/experts.h"
#include "lathe/nn/moe/router.h"
#include "lathe/nn/moe/router_statistics.h"
#include "lathe/nn/product.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/moe.h"
#include "lathe/ops/moe_losses.h"
#include "lathe/ops/moe_routing.h"

namespace lathe {
namespace {

// A dot product with x for each token: the gate of the shared expert.
class TokenGate : public Module {
 public:
  TokenGate(int64_t width, double init_std)
      : weight_({1, width}, {Initializer::Kind::kNormal, init_std}) {}

  Var forward(const Forward& f, const Var& x) const {  // [N,C] -> [N,1], in (0, 1)
    return ops::activation(kernels::find_activation("sigmoid"), scores(*f.pass, weight_, x));
  }
  std::string_view kind() const override { return "TokenGate"; }
  void visit(ModuleVisitor& v) override { v.parameter("weight", weight_); }

 private:
  Parameter weight_;  // [1, C]
};

std::vector<double> load_of(const Routing& r) {
  if (!r.choices.defined()) return {r.plan.count.begin(), r.plan.count.end()};
  std::vector<double> load(static_cast<size_t>(r.plan.experts()), 0.0);
  for (int32_t e : r.choices.span<int32_t>()) load[static_cast<size_t>(e)] += 1.0;
  return load;
}

// A sequence that only waits in this pass has nothing to balance.
Sequences not_empty(const Sequences& sequences) {
  std::vector<int64_t> lengths;
  for (int64_t b = 0; b < sequences.count(); ++b)
    if (sequences.length(b) > 0) lengths.push_back(sequences.length(b));
  return Sequences(lengths);
}

double total_entropy(const Tensor& probabilities) {
  double sum = 0;
  for (double p : probabilities.to_vector()) sum -= p > 0 ? p * std::log(p) : 0.0;
  return sum;
}

const FeedForwardComponent& expert_kind(const MoeConfig& config) {
  return find_in(feed_forwards(), "model.moe.expert", config.expert);
}

std::unique_ptr<Router> make_router(const FeedForwardShape& s, const MoeConfig& config) {
  return find_in(routers(), "model.moe.router", config.router)
      .make({.hidden_size = s.hidden_size, .init_std = s.init_std, .config = config},
            config.router_keys.of(config.router));
}

class MixtureOfExperts : public FeedForward {
 public:
  MixtureOfExperts(const FeedForwardShape& o, const MoeConfig& config)
      : config_(config),
        router_(make_router(o, config)),
        experts_(config.num_experts, expert_traits(config).gated, o) {
    FeedForwardShape shared = o;
    shared.intermediate_size = config.shared_width(o.intermediate_size);
    if (shared.intermediate_size > 0) shared_ = expert_kind(config).make_with_defaults(shared);
    if (config.shared_expert_gate) shared_gate_.emplace(o.hidden_size, o.init_std);
  }

  Var forward(const Forward& f, const Var& input) const override {
    const bool noisy = f.training() && config_.jitter_experts;
    const Var x =
        noisy ? ops::jitter(input, config_.router_jitter_noise, f.rng.fork("jitter")) : input;
    const Routing r = router_->route(f, x);
    Var y = ops::combine(experts_.forward(f, ops::permute(x, r.plan), r.plan), r.gates, r.plan,
                         x.shape());
    if (shared_) y = ops::add(y, shared(f, x));
    return with_losses(f, r, y);
  }

  std::string_view kind() const override { return "MixtureOfExperts"; }
  void visit(ModuleVisitor& v) override {
    v.child("router", *router_);
    v.child("experts", experts_);
    if (shared_) v.child("shared", *shared_);
    if (shared_gate_) v.child("shared_gate", *shared_gate_);
  }

 private:
  Var shared(const Forward& f, const Var& x) const {
    const Var y = shared_->forward(f, x);
    return shared_gate_ ? ops::scale_rows(y, shared_gate_->forward(f, x)) : y;
  }

  // Also reports, since that needs the values of the losses.
  Var with_losses(const Forward& f, const Routing& r, Var y) const {
    const bool reports = f.pass->router_statistics != nullptr;
    const double balance =
        f.training() && r.choices.defined() ? config_.balance_coefficient() : 0.0;
    const double z = f.training() ? config_.router_z_loss_coef : 0.0;
    const int64_t tokens = r.plan.tokens;
    RouterReport report;
    if (r.choices.defined() && (reports || balance > 0)) {
      const Sequences groups =
          config_.balance_per_sequence ? not_empty(f.rows->sequences) : Sequences::equal(1, tokens);
      const Var loss = ops::balance_loss(r.probabilities, r.choices, groups);
      report.balance_loss = loss.value.item() * static_cast<double>(tokens);
      y = ops::attach_loss(y, loss, balance * f.pass->auxiliary_scale);
    }
    if (reports || z > 0) {
      const Var loss = ops::router_z_loss(r.logits);
      report.z_loss = loss.value.item() * static_cast<double>(tokens);
      y = ops::attach_loss(y, loss, z * f.pass->auxiliary_scale);
    }
    if (reports) {
      report.load = load_of(r);
      report.tokens = static_cast<double>(tokens);
      report.wanted = static_cast<double>(r.wanted);
      report.dropped = static_cast<double>(r.wanted - r.plan.token_rows.numel());
      report.entropy = total_entropy(r.probabilities.value);
      report.bias = router_->correction_bias();
      report.bias_rate = router_->bias_update_rate();
      f.pass->router_statistics->report(router_.get(), std::move(report));
    }
    return y;
  }

  MoeConfig config_;
  std::unique_ptr<Router> router_;
  Experts experts_;
  std::unique_ptr<FeedForward> shared_;
  std::optional<TokenGate> shared_gate_;
};

std::map<std::string, Parameter*> parameters_of(Module& module) {
  std::map<std::string, Parameter*> all;
  for_each_parameter(module, [&](const std::string& path, Parameter& p) { all[path] = &p; });
  return all;
}

}  // namespace

std::unique_ptr<FeedForward> make_moe(const FeedForwardShape& options, const MoeConfig& config) {
  require(config.enabled(), ErrorKind::kConfig, "model.moe.num_experts",
          "0 experts; a mixture needs at least 1");
  validate(config);
  FeedForwardShape o = options;
  o.intermediate_size = config.moe_intermediate_size.value_or(options.intermediate_size);
  return std::make_unique<MixtureOfExperts>(o, config);
}

std::vector<std::string> expert_names() {
  std::vector<std::string> names;
  for (const FeedForwardComponent& kind : feed_forwards())
    if (kind.traits({}, kind.config()).expert) names.emplace_back(kind.name);
  std::ranges::sort(names);
  return names;
}

FeedForwardTraits expert_traits(const MoeConfig& config) {
  const FeedForwardComponent& kind = expert_kind(config);
  return kind.traits({}, kind.config());
}

void upcycle(FeedForward& moe, FeedForward& dense) {
  constexpr std::string_view kPrefix = "experts.";
  const auto from = parameters_of(dense);
  size_t filled = 0;
  for (const auto& [name, p] : parameters_of(moe)) {
    if (!name.starts_with(kPrefix)) continue;
    const auto source = from.find(name.substr(kPrefix.size()));
    require(source != from.end(), ErrorKind::kShape, "upcycle",
            "experts have '{}', which the dense layer lacks; both must be gated or both plain",
            name);
    const Tensor& weights = source->second->value.tensor();
    const std::vector<int64_t>& parts = source->second->parts;
    const int64_t rows = weights.size(0);
    const bool same_width = p->parts.front() == (parts.empty() ? rows : parts.front());
    require(same_width && p->shape.with(0, rows) == weights.shape(), ErrorKind::kShape, "upcycle",
            "'{}' {} is not a stack of the dense layer's {}; experts need its width", name,
            p->shape, weights.shape());
    for (int64_t first = 0; first < p->shape[0]; first += rows)
      p->value.tensor().narrow(0, first, rows).copy_from(weights);
    ++filled;
  }
  require(filled == from.size(), ErrorKind::kShape, "upcycle",
          "{} of the dense layer's {} parameters have a place in an expert", filled, from.size());
}

}  // namespace lathe
