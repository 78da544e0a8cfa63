// The Transformer: an embedding, a stack of blocks, optionally with an encoder, and an output head.
#pragma once

#include <algorithm>
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

// Passes (encode, hidden, mtp_hidden, head, logits) do not change the model: several threads may
// run them at once, each with its own Pass. Everything else needs exclusive access to the model.
class Transformer : public Module {
 public:
  // Builds the tree; parameters have shapes but no memory. Throws kConfig.
  explicit Transformer(const ModelConfig& config);

  const ModelConfig& config() const { return config_; }

  // Memory for every parameter in `dtype`, uninitialised.
  void allocate(DType dtype, Device device = Device::kCpu);
  // Sets the type of activations if it is not the token table's: parameters may be narrower
  // (Parameter::widened_in_use).
  void set_activations(DType dtype) { activations_ = dtype; }
  DType activations() const { return activation_type(embedding_.weight); }
  // Where the parameters are.
  Device device() const;
  // Draws every parameter from rng.fork(its path), so that one does not depend on another.
  void initialize(const Rng& rng);

  // For a body with an encoder: the rows of its text -> what the decoder reads as f.memory. It
  // keeps the segments of the text (packed documents). The result must outlive the backward pass.
  EncoderMemory encode(const Forward& f, Recompute recompute = Recompute::kNone) const;
  // The rows of f -> the input of the head, [N,C]; absent positions are filled in. With a cache
  // f.rows->context is what it holds; the owner of the cache ends the pass. Errors: kData for ids
  // outside the vocabulary, sequences longer than the positions allow, a context whose tokens get
  // other positions in the longer text (outgrows_cache), and an encoder's output that is missing or
  // not expected.
  Var hidden(const Forward& f, Recompute recompute = Recompute::kNone) const;
  // The same before anything that belongs to the head (head_transform, the pooler, logit scales): the output of
  // the last norm, transformers' last_hidden_state, [N,C]. Errors as hidden().
  Var states(const Forward& f, Recompute recompute = Recompute::kNone) const;
  // Multi-token prediction: the output of module `depth`, from 1 to
  // config().num_nextn_predict_layers, from the hidden states of f.rows that the model (depth 1) or
  // the previous module produced, and the tokens `depth` later, i32 [N].
  Var mtp_hidden(const Forward& f, int64_t depth, const Var& hidden, const Tensor& ids_ahead) const;
  // Whether a cache of `held` tokens cannot be used for a text that is `more` tokens longer,
  // because its first tokens then have other positions (rotary scaling that depends on the length:
  // dynamic, longrope). hidden() refuses such a cache; start again with an empty one and the whole
  // text.
  bool outgrows_cache(int64_t held, int64_t more) const {
    return held > 0 && stack_->position().moves_tokens(held, held + more);
  }
  // Whether what a token sees of others follows from distances alone (nn/streaming.h).
  bool follows_distances() const { return stack_->position().follows_distances(); }
  // The most tokens of a text, including that of the encoder; absent if there is no limit.
  std::optional<int64_t> longest_text() const;
  std::optional<int64_t> longest_encoder_text() const;
  // `wanted` tokens, or fewer if a text cannot be that long.
  int64_t window_of(int64_t wanted) const {
    return std::min(wanted, longest_text().value_or(wanted));
  }
  // [.., C] -> logits [.., V] in the accumulation dtype. This and head() throw kConfig for a model
  // that has scores instead, or nothing.
  Var logits(const Pass& pass, const Var& hidden) const;
  ops::OutputHead head(const Pass& pass) const;
  // With config().num_labels, which take the head's place: [N, C], hidden(), -> scores [N, num_labels] in the
  // accumulation dtype. transformers' score of a text is that of its last token, or of the first where the body
  // is an encoder.
  Var scores(const Pass& pass, const Var& hidden) const;

  std::vector<Parameter*> parameters();
  std::vector<const Parameter*> parameters() const;
  int64_t parameter_count() const;

  std::string_view kind() const override { return "Transformer"; }
  void visit(ModuleVisitor& v) override;

 private:
  Var embed(const Forward& f, const Tensor& ids) const;
  Var run(const Stack& stack, const Forward& f, Recompute recompute) const;
  void check_context(const Rows& rows) const;
  void require_head() const;

  ModelConfig config_;
  // The type of activations that come from a table: set_activations(), the table's own type, or, if
  // that is packed, the type of the other parameters.
  DType activation_type(const Parameter& table) const;

  std::optional<DType> activations_;
  DType dtype_ = DType::kF32;  // of allocate()
  Embedding embedding_;
  std::optional<Embedding> token_types_;
  std::unique_ptr<Stack> encoder_;  // its parameters are below "encoder"
  std::unique_ptr<Stack> stack_;    // and these at the top: "layers.0" …
  std::vector<std::unique_ptr<MtpModule>> mtp_;
  std::optional<HeadTransform> head_transform_;
  std::unique_ptr<Linear> pooler_;      // before score_
  std::unique_ptr<Linear> head_;        // absent when tied to the embedding, or not there at all
  std::optional<Parameter> head_bias_;  // with a tied head
  std::unique_ptr<Linear> score_;       // instead of a head
};

}  // namespace lathe
