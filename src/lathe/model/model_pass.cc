#include "lathe/model/model_pass.h"

namespace lathe {

Var ModelPass::hidden(const ModelInputs& inputs) {
  if (inputs.text && inputs.text->tokens() > 0)
    memory_ = model_.encode({&pass_, &*inputs.text, rng_}, recompute_);
  else if (inputs.text)
    memory_ = EncoderMemory{{}, inputs.text->sequences, {}};
  else if (memory_ && pass_.cache != nullptr)
    memory_ = EncoderMemory{{}, Sequences::equal(memory_->sequences.count(), 0), {}};
  rows_ = inputs.rows;
  return model_.hidden({&pass_, &rows_, rng_, memory_ ? &*memory_ : nullptr}, recompute_);
}

Var ModelPass::mtp_hidden(int64_t depth, const Var& hidden, const Tensor& ids_ahead) const {
  return model_.mtp_hidden({&pass_, &rows_, rng_}, depth, hidden, ids_ahead);
}

}  // namespace lathe
