// A stack of blocks, which maps vectors of tokens to vectors of tokens.
#pragma once

#include <memory>
#include <vector>

#include "lathe/model/components.h"
#include "lathe/model/model_config.h"

namespace lathe {

// One block: attention, cross-attention if the body has an encoder, then a feed-forward layer, each
// a branch that is added to the residual stream with norms placed as norm_placements() says,
//   x = x + attention(norm(x));  x = x + cross(norm(x), memory);  x = x + ffn(norm(x))
// or attention and feed-forward in parallel (Wang & Komatsuzaki 2021, GPT-J; Chowdhery et al. 2022,
// arXiv:2204.02311):
//   x = x + attention(norm(x)) + ffn(norm(x))
class Block : public Module {
 public:
  Block(const ModelConfig& config, const StackSpec& stack, int64_t layer);

  Var forward(const Forward& f, const PassPositions& positions,
              const Var& x) const;  // [N,C] -> [N,C]

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
  Var forward_parallel(const Forward& f, const PassPositions& positions, const Var& x) const;
  Var attend(const Forward& f, const PassPositions& positions, const Var& x) const;
  Var attend_across(const Forward& f, const PassPositions& positions, const Var& x) const;
  Var feed(const Forward& f, const Var& x) const;

  NormPlacement placement_;
  bool parallel_;
  double dropout_, residual_scale_ = 1.0;
  Norms attention_norms_, cross_norms_, ffn_norms_;
  std::unique_ptr<Attention> attention_, cross_;  // cross_ only with an encoder
  std::unique_ptr<FeedForward> ffn_;
};

enum class Recompute : uint8_t {
  kNone,       // keep every activation
  kSelective,  // recompute norm and activation outputs in the backward pass
  kFull,       // keep only each block's input
};

// Positions, blocks and the norms around them.
class Stack : public Module {
 public:
  Stack(const ModelConfig& config, const StackSpec& spec);

  // x [B,T,C], embedded tokens at f.rows->positions -> [B,T,C].
  Var forward(const Forward& f, const Var& x, Recompute recompute) const;
  // The longest sequence that has positions; 0 if there is no limit.
  int64_t limit() const { return position_->limit(); }
  const Position& position() const { return *position_; }

  std::string_view kind() const override { return "Stack"; }
  void visit(ModuleVisitor& v) override;

 private:
  double dropout_;
  std::unique_ptr<Norm> embedding_norm_;
  std::unique_ptr<Position> position_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::unique_ptr<Norm> final_norm_;
};

}  // namespace lathe
