// Multi-token prediction (DeepSeek-AI 2024, arXiv:2412.19437, section 2.2): from what the model makes
// of token i, and from token i + k, one more block predicts token i + k + 1. A chain of such modules
// looks 1, 2 … D tokens further; embedding and output head are the model's own.
//   h'_k = W·[norm(embedding(t_{i+k})); norm(h_{k-1,i})];  h_k = norm(block(h'_k))
// It sharpens the training of the model and is not needed to use it.
#pragma once

#include "lathe/model/stack.h"
#include "lathe/nn/linear.h"

namespace lathe {

class MtpModule : public Module {
 public:
  // `depth` from 1; `stack` is the model's own, behind whose blocks this one counts.
  MtpModule(const ModelConfig& config, const StackSpec& stack, int64_t depth);

  // hidden [N,C] of the module before or the model, ahead [N,C] embedded tokens -> [N,C].
  Var forward(const Forward& f, const PassPositions& positions, const Var& hidden, const Var& ahead) const;

  // Counted, named and saved as the layer behind the model's own.
  Block& block() { return block_; }

  std::string_view kind() const override { return "MtpModule"; }
  void visit(ModuleVisitor& v) override;  // without the block

 private:
  std::unique_ptr<Norm> hidden_norm_, ahead_norm_, norm_;
  Linear join_;
  Block block_;
};

}  // namespace lathe
