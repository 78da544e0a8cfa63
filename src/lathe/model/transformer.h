// The Transformer: tokens to vectors, a stack of blocks, with an encoder beside it or not, a head.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "lathe/model/model_config.h"
#include "lathe/model/mtp.h"
#include "lathe/model/stack.h"
#include "lathe/nn/attention/memory.h"
#include "lathe/nn/embedding.h"
#include "lathe/nn/head_transform.h"
#include "lathe/nn/linear.h"
#include "lathe/ops/cross_entropy.h"

namespace lathe {

class Transformer : public Module {
 public:
  // Builds the tree; parameters have shapes but no memory. Error kConfig.
  explicit Transformer(const ModelConfig& config);

  const ModelConfig& config() const { return config_; }

  // Memory for every parameter in `dtype`, uninitialised; compute = value.
  void allocate(DType dtype, Device device = Device::kCpu);
  // The type of activations, where that is not the token table's: parameters may be narrower
  // (Parameter::widened_in_use).
  void set_activations(DType dtype) { activations_ = dtype; }
  // Draws every parameter from rng.fork(its path), so that one does not depend on another.
  void initialize(const Rng& rng);

  // Of a body with an encoder: ids i32 [B,S] -> what its decoder reads as f.memory. f.segments of
  // the text (padding, packed documents) stay with it. The result must outlive the backward.
  EncoderMemory encode(const Forward& f, const Tensor& ids, Recompute recompute = Recompute::kNone);
  // ids i32 [B,T] -> what the head reads, [B,T,C]. f.positions may be undefined: 0 … T-1, or
  // after a cache its length. Errors: kData for ids outside the vocabulary, sequences longer than
  // the positions allow, and an encoder's output that is missing or not asked for.
  Var hidden(const Forward& f, const Tensor& ids, Recompute recompute = Recompute::kNone);
  // Multi-token prediction: of module `depth`, from 1 to config().num_nextn_predict_layers, given what the
  // model (depth 1) or the module before made of every token, and the tokens `depth` later.
  Var mtp_hidden(const Forward& f, int64_t depth, const Var& hidden, const Tensor& ids_ahead);
  // Whether a cache of `held` tokens is of no use for a text that `more` tokens make longer, because
  // its first tokens are placed otherwise then (rotary scaling that depends on the length: dynamic,
  // longrope). hidden() refuses such a cache; begin again with an empty one and the whole text.
  bool outgrows_cache(int64_t held, int64_t more) const {
    return held > 0 && stack_->position().moves_tokens(held, held + more);
  }
  // Most tokens of a text, and of what an encoder beside the blocks reads; absent when any number
  // can be placed.
  std::optional<int64_t> longest_text() const;
  std::optional<int64_t> longest_encoder_text() const;
  // [.., C] -> logits [.., V] in the accumulation dtype.
  Var logits(const Forward& f, const Var& hidden);
  ops::OutputHead head(const Forward& f);

  std::vector<Parameter*> parameters();
  int64_t parameter_count();

  std::string_view kind() const override { return "Transformer"; }
  void visit(ModuleVisitor& v) override;

 private:
  Var embed(const Forward& f, const Tensor& ids);
  Var run(Stack& stack, Forward f, const Tensor& ids, Recompute recompute);

  ModelConfig config_;
  std::optional<DType> activations_;
  Embedding embedding_;
  std::optional<Embedding> token_types_;
  std::unique_ptr<Stack> encoder_;  // its parameters are below "encoder"
  std::unique_ptr<Stack> stack_;    // and these at the top: "layers.0" …
  std::vector<std::unique_ptr<MtpModule>> mtp_;
  std::optional<HeadTransform> head_transform_;
  std::unique_ptr<Linear> head_;        // absent when tied to the embedding
  std::optional<Parameter> head_bias_;  // beside a tied head
};

}  // namespace lathe
