// A parameter of a model: what it is, and the weight that passes read. What training keeps of it is
// apart: gradients in nn/parameter_gradients.h, master copies in optim/trained_parameter.h, both
// owned by train/training_state.h.
#pragma once

#include <string>
#include <vector>

#include "lathe/nn/weight.h"

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
  // Whether a run that computes in 16 bits rounds it. Gains, biases and routers stay in fp32: they
  // are small, and kernels take them so.
  bool rounds() const { return shape.rank() >= 2 && !full_precision; }
  // Kernels widen it as they read it, so that for inference it can stay bf16, as a file holds it,
  // with f32 activations.
  bool widened_in_use = false;

  // f32 or 16-bit, and f64 on Device::kRef; may be a view of a file for inference.
  Weight value;
};

}  // namespace lathe
