// What all routers here share: logits x·Wᵀ (+ b) in f32 from a weight that stays in f32, the jitter
// of its input, and the capacity of an expert.
#pragma once

#include <optional>

#include "lathe/nn/moe/router.h"

namespace lathe {

class LinearRouter : public Router {
 public:
  explicit LinearRouter(const RouterShape& shape);
  void visit(ModuleVisitor& v) override;

 protected:
  // [N,C] -> [N, E]. In training x is jittered first (unless the layer has already done so for the
  // experts as well).
  Var logits(const Forward& f, const Var& x) const;

  // ceil(factor · choices · tokens / E), at least 1.
  int64_t even_share(int64_t tokens, int64_t choices, double factor) const;
  // The number of tokens that one expert takes of a sequence of `tokens`, each of which makes
  // `choices`: the smaller of expert_capacity and even_share() with capacity_factor in training,
  // eval_capacity_factor otherwise; nullopt if neither is set.
  std::optional<int64_t> capacity(const Forward& f, int64_t tokens, int64_t choices) const;

  // Drops choices that are over capacity and plans the rest.
  ops::ExpertPlan plan(const Forward& f, const Tensor& choices) const;

  int64_t experts() const { return config_.num_experts; }
  const MoeConfig& config() const { return config_; }

 private:
  MoeConfig config_;
  Parameter weight_;               // [E, C]
  std::optional<Parameter> bias_;  // [E]
};

}  // namespace lathe
