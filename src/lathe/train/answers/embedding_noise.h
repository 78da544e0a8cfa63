// NEFTune: noise on the embeddings of training passes, which keeps a model that is tuned on few answers
// from copying their form (Jain et al. 2023, arXiv:2310.05914; neftune_noise_alpha of transformers and TRL):
//   x + u,  u uniform in ±α / √(L·d) in every element, with L the tokens of the row's sequence and d its
// width. Sequences have no padding here, so L is what a batch of one has in transformers, whatever is
// computed beside it.
#pragma once

#include <memory>

#include "lathe/base/rng.h"
#include "lathe/model/model_pass.h"
#include "lathe/nn/adapters.h"

namespace lathe {

// Acts on what is looked up in the token table, around the other adapters of a pass. Thread-safe.
class EmbeddingNoise : public Adapters {
 public:
  // Of a pass over `inputs`. `around` may be nullptr; it and the inputs outlive the noise. Number r·d + c of a
  // stream is that of column c in row r, which counts the tokens of all sequences.
  EmbeddingNoise(double alpha, const ModelInputs& inputs, const Rng& rng, const Adapters* around);

  // Virtual tokens before the sequences, which have rows here, get none and do not count in L.
  Var add_to_lookup(const Pass& pass, const Parameter& p, const Tensor& ids,
                    const Var& y) const override;
  const Adapters& of_text() const override;

 private:
  EmbeddingNoise(double alpha, const Sequences& sequences, const Rng& rng, const Adapters* around)
      : Adapters(around), alpha_(alpha), sequences_(sequences), rng_(rng) {}

  const double alpha_;
  const Sequences& sequences_;
  const Rng rng_;
  std::unique_ptr<EmbeddingNoise> text_;  // of the encoder's
};

}  // namespace lathe
