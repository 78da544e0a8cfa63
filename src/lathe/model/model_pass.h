// A batch through a model: the one place where inputs become a forward pass, for training,
// validation, evaluation, `lathe logits` and the engine.
#pragma once

#include <optional>

#include "lathe/model/transformer.h"

namespace lathe {

// The inputs of a model. `text` is what the encoder reads, if the body has one; it has as many
// sequences as `rows`. With a cache, a sequence whose text was read in an earlier pass has an empty
// one.
struct ModelInputs {
  Rows rows;
  std::optional<Rows> text = {};
};

// Keeps alive what the results of a pass need while they are used, including in the backward pass.
// The model, and what `pass` points to, must outlive it.
class ModelPass {
 public:
  ModelPass(const Transformer& model, const Pass& pass, const Rng& rng = Rng(0),
            Recompute recompute = Recompute::kNone)
      : model_(model), pass_(pass), rng_(rng), recompute_(recompute) {}
  ModelPass(const ModelPass&) = delete;
  ModelPass& operator=(const ModelPass&) = delete;

  // Encodes inputs.text, if it is given, and runs the rows; returns the input of the head, [N,C].
  // Further calls without a text use the one that was encoded before, which a cache holds if there
  // is one. Virtual tokens of the pass's adapters stand before each sequence, and have no rows in
  // the result. Errors: as Transformer::hidden(); kConfig for virtual tokens together with a cache,
  // an encoder, or several texts in one sequence.
  Var hidden(const ModelInputs& inputs);
  // The states behind the last norm instead, Transformer::states(), of a model of one text: [N,C]. Errors as hidden(),
  // and kConfig for virtual tokens.
  Var states(const Rows& rows) const;
  // The input of the head that predicts the first token of each sequence from the last virtual one,
  // [B,C], of the last call; undefined without virtual tokens that have rows.
  const Var& before_first() const { return before_first_; }
  // Transformer::mtp_hidden() of the rows of the last call.
  Var mtp_hidden(int64_t depth, const Var& hidden, const Tensor& ids_ahead) const;
  ops::OutputHead head() const { return model_.head(pass_); }
  Var logits(const Var& hidden) const { return model_.logits(pass_, hidden); }

 private:
  Var hidden_behind_virtual_tokens(const Rows& rows, int64_t count);
  Var run(const Rows& rows) const;

  const Transformer& model_;
  Pass pass_;
  Rng rng_;
  Recompute recompute_;
  Rows rows_;
  Var before_first_;
  std::optional<EncoderMemory> memory_;
};

}  // namespace lathe
