// A trainable tensor of a model.
#pragma once

#include <string>
#include <vector>

#include "lathe/autograd/tape.h"
#include "lathe/tensor/tensor.h"

namespace lathe {

struct Parameter {
  std::string name;  // path inside the model, "layers.0.attention.qkv.weight"
  Tensor value;      // the master copy: f32, or f64 on Device::kRef; borrowed and possibly 16-bit in inference
  Tensor compute;    // what the forward reads: `value` itself, or its copy in the run's 16-bit type
  GradBuffer grad;   // f32 (f64 on kRef); no tensor until training begins

  // Rows (dimension 0) of independent matrices that were stacked to be multiplied in one call, e.g. {H·D, K·D, K·D}
  // for a fused QKV weight; empty for a single matrix. Optimisers that look at a matrix as a whole (Muon,
  // Adafactor) treat each part alone.
  std::vector<int64_t> parts;

  // Weight decay applies to matrices, not to biases and gains.
  bool decays() const { return value.rank() >= 2; }
  // An embedding or output table: rows are looked up, not multiplied through; Muon leaves those to AdamW.
  bool is_table = false;
};

}  // namespace lathe
