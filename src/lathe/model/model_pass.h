// A batch through a model: the one place where inputs become a forward pass, for training,
// validation, evaluation, `lathe logits` and the engine.
#pragma once

#include <optional>

#include "lathe/model/transformer.h"

namespace lathe {

// What a model is given. `text` is what an encoder reads, of bodies that have one; as many sequences
// as `rows`.
struct ModelInputs {
  Rows rows;
  std::optional<Rows> text = {};
};

// Keeps what the results of a pass need as long as they are used, the backward included. The model,
// and what `pass` points to, must outlive it.
class ModelPass {
 public:
  ModelPass(const Transformer& model, const Pass& pass, const Rng& rng = Rng(0),
            Recompute recompute = Recompute::kNone)
      : model_(model), pass_(pass), rng_(rng), recompute_(recompute) {}
  ModelPass(const ModelPass&) = delete;
  ModelPass& operator=(const ModelPass&) = delete;

  // Encodes inputs.text, when it is given, and reads the rows: what the head reads, [N,C]. Further
  // calls without a text go on with the one encoded before. Errors: as Transformer::hidden().
  Var hidden(const ModelInputs& inputs);
  // Of the rows read last: Transformer::mtp_hidden().
  Var mtp_hidden(int64_t depth, const Var& hidden, const Tensor& ids_ahead) const;
  ops::OutputHead head() const { return model_.head(pass_); }
  Var logits(const Var& hidden) const { return model_.logits(pass_, hidden); }

 private:
  const Transformer& model_;
  Pass pass_;
  Rng rng_;
  Recompute recompute_;
  Rows rows_;
  std::optional<EncoderMemory> memory_;
};

}  // namespace lathe
