// A trainable tensor of a model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lathe/autograd/tape.h"
#include "lathe/ops/packed_matrix.h"
#include "lathe/tensor/tensor.h"

namespace lathe {

// How a fresh parameter is drawn.
struct Initializer {
  enum class Kind : uint8_t { kNormal, kZeros, kOnes };
  Kind kind = Kind::kNormal;
  double std = 0.02;
  std::vector<double> part_std = {};  // of each of Parameter::parts, when they differ
};

struct Parameter {
  Parameter() = default;
  Parameter(const Shape& s, Initializer i) : shape(s), init(i) {}

  std::string name;  // path inside the model, "layers.0.attention.qkv.weight"; given by the model
  Shape shape;       // known before any memory is
  Initializer init;
  Tensor value;     // the master copy: f32, or f64 on Device::kRef; borrowed and possibly 16-bit in
                    // inference
  Tensor compute;   // what the forward reads: `value` itself, or its copy in the run's 16-bit type
  // In place of `compute` where the matrix is stored in another form; inference only.
  std::shared_ptr<const ops::PackedMatrix> packed;
  mutable GradBuffer grad;  // f32 (f64 on kRef); no tensor until training begins

  // Rows (dimension 0) of independent matrices that were stacked to be multiplied in one call, e.g.
  // {H·D, K·D, K·D} for a fused QKV weight; empty for a single matrix. Optimisers that look at a
  // matrix as a whole (Muon, Adafactor) treat each part alone.
  std::vector<int64_t> parts;

  // Weight decay applies to matrices, not to biases and gains.
  bool decays() const { return shape.rank() >= 2; }
  // An embedding or output table: rows are looked up, not multiplied through; Muon leaves those to
  // AdamW.
  bool is_table = false;
  // Without gradient and optimiser step, but saved and loaded as any other: a buffer that something
  // else moves.
  bool trainable = true;
  // Stays in the master's type where others are computed in 16 bits: routers choose by small
  // differences.
  bool full_precision = false;
  // Kernels widen it as they read it, so that for inference it can stay bf16, as a file holds it,
  // beside f32 activations.
  bool widened_in_use = false;
};

}  // namespace lathe
