// Multi-token prediction (DeepSeek-AI 2024, arXiv:2412.19437, section 2.2): from the model's hidden
// state of token i, and from token i + k, one more block predicts token i + k + 1. A chain of such
// modules looks 1, 2 … D tokens further; embedding and output head are those of the model.
//   h'_k = W·[norm(embedding(t_{i+k})); norm(h_{k-1,i})];  h_k = norm(block(h'_k))
// The modules improve training and are not needed at inference.
#pragma once

#include "lathe/model/stack.h"
#include "lathe/nn/linear.h"

namespace lathe {

class MtpModule : public Module {
 public:
  // `depth` counts from 1; `stack` is the model's own, and this block is numbered after its blocks.
  MtpModule(const ModelConfig& config, const StackSpec& stack, int64_t depth);

  // hidden [N,C] of the previous module or the model, ahead [N,C] embedded tokens -> [N,C].
  Var forward(const Forward& f, const PassPositions& positions, const Var& hidden,
              const Var& ahead) const;

  // Numbered, named and saved as the layer after the model's own layers.
  Block& block() { return block_; }

  std::string_view kind() const override { return "MtpModule"; }
  void visit(ModuleVisitor& v) override;  // without the block

 private:
  std::unique_ptr<Norm> hidden_norm_, ahead_norm_, norm_;
  Linear join_;
  Block block_;
};

}  // namespace lathe
