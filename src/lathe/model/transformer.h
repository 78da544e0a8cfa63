// The Transformer: tokens to vectors, a list of blocks, a head.
#pragma once

#include <memory>
#include <vector>

#include "lathe/model/config.h"
#include "lathe/nn/attention/attention.h"
#include "lathe/nn/embedding.h"
#include "lathe/nn/ffn/ffn.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/linear.h"
#include "lathe/nn/norm/norm.h"
#include "lathe/nn/norm/placement.h"
#include "lathe/nn/position/position.h"
#include "lathe/ops/cross_entropy.h"

namespace lathe {

// One block: attention, then a feed-forward layer, each a branch added to the residual stream with
// norms around it as norm_placements() says,
//   x = x + attention(norm(x));  x = x + ffn(norm(x))
// or both side by side (Wang & Komatsuzaki 2021, GPT-J; Chowdhery et al. 2022, arXiv:2204.02311):
//   x = x + attention(norm(x)) + ffn(norm(x))
class Block : public Module {
 public:
  Block(const ModelConfig& config, int64_t layer);

  Var forward(const Forward& f, Position& position, const Var& x);  // [B,T,C] -> [B,T,C]

  std::string_view kind() const override { return "Block"; }
  void visit(ModuleVisitor& v) override;

 private:
  // The norms around one branch; absent where the placement has none.
  struct Norms {
    std::unique_ptr<Norm> before, after;
  };
  Norms make_norms(const ModelConfig& config) const;
  template <class Branch>
  Var add_branch(const Forward& f, const Norms& norms, const Var& x, Branch&& branch) const;
  Var forward_parallel(const Forward& f, Position& position, const Var& x);
  Var attend(const Forward& f, Position& position, const Var& x);
  Var feed(const Forward& f, const Var& x);

  NormPlacement placement_;
  bool parallel_;
  double dropout_, residual_scale_ = 1.0;
  Norms attention_norms_, ffn_norms_;
  std::unique_ptr<Attention> attention_;
  std::unique_ptr<FeedForward> ffn_;
};

enum class Recompute : uint8_t {
  kNone,       // keep every activation
  kSelective,  // make norm and activation outputs again in the backward
  kFull,       // keep only each block's input
};

class Transformer : public Module {
 public:
  // Builds the tree; parameters have shapes but no memory. Error kConfig.
  explicit Transformer(const ModelConfig& config);

  const ModelConfig& config() const { return config_; }

  // Memory for every parameter in `dtype`, uninitialised; compute = value.
  void allocate(DType dtype, Device device = Device::kCpu);
  // Draws every parameter from rng.fork(its path), so that one does not depend on another.
  void initialize(const Rng& rng);

  // ids i32 [B,T] -> what the head reads, [B,T,C]. f.positions may be undefined: 0 … T-1, or
  // after a cache its length. Errors: kData for ids outside the vocabulary or sequences longer than
  // the positions allow.
  Var hidden(const Forward& f, const Tensor& ids, Recompute recompute = Recompute::kNone);
  // [.., C] -> logits [.., V] in the accumulation dtype.
  Var logits(const Forward& f, const Var& hidden);
  ops::OutputHead head(const Forward& f);

  std::vector<Parameter*> parameters();
  int64_t parameter_count();

  std::string_view kind() const override { return "Transformer"; }
  void visit(ModuleVisitor& v) override;

 private:
  ModelConfig config_;
  Embedding embedding_;
  std::unique_ptr<Norm> embedding_norm_;
  std::unique_ptr<Position> position_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::unique_ptr<Norm> final_norm_;
  std::unique_ptr<Linear> head_;        // absent when tied to the embedding
  std::optional<Parameter> head_bias_;  // beside a tied head
};

}  // namespace lathe
