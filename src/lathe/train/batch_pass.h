// A batch as a model is given it: the one place where rows become a forward pass, for training,
// validation and `lathe eval`.
#pragma once

#include "lathe/model/transformer.h"
#include "lathe/train/data_loader.h"

namespace lathe {

// What a pass over one batch needs to live as long as its results are used.
struct BatchPass {
  Forward forward;
  EncoderMemory memory;  // of bodies with an encoder
  Var hidden;            // [B,T,C], before the output head

  BatchPass(Transformer& model, Forward f, const Batch& batch, Recompute recompute);
  BatchPass(const BatchPass&) = delete;
  BatchPass& operator=(const BatchPass&) = delete;
};

}  // namespace lathe
