// The layer that BERT has between its last block and the output head: y = norm(f(x·Wᵀ + b)) (Devlin
// et al. 2019, arXiv:1810.04805).
#pragma once

#include <memory>

#include "lathe/nn/linear.h"
#include "lathe/nn/norm/norm.h"

namespace lathe {

class HeadTransform : public Module {
 public:
  HeadTransform(int64_t width, kernels::ActivationId activation, std::unique_ptr<Norm> norm,
                double init_std);

  Var forward(const Forward& f, const Var& x) const;  // [B,T,C] -> [B,T,C]

  std::string_view kind() const override { return "HeadTransform"; }
  void visit(ModuleVisitor& v) override;

 private:
  Linear dense_;
  kernels::ActivationId activation_;
  std::unique_ptr<Norm> norm_;
};

}  // namespace lathe
