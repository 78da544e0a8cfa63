// What the stacks of blocks of a model are, before any is built. Errors: kConfig, naming the key.
#pragma once

#include "lathe/model/model_config.h"
#include "lathe/nn/norm/placement.h"

namespace lathe {

// Standard deviations of fresh weights. DeepNorm scales all but the common one.
struct InitScales {
  double common = 0;
  double values = 0;      // of attention
  double ffn_inputs = 0;  // the matrices by which a feed-forward layer reads
  double outputs = 0;     // the last matrix of every branch
};

// One stack of blocks of a body.
struct StackSpec {
  int64_t layers = 0;
  bool causal = true;
  bool crosses = false;    // every block also attends to an encoder's output
  DeepNormConstants deep;  // of a placement that has any
  InitScales init = {};
};
StackSpec main_stack(const ModelConfig& config);     // the only one, or the decoder
StackSpec encoder_stack(const ModelConfig& config);  // of a body with an encoder

NormPlacement placement_of(const ModelConfig& config);

}  // namespace lathe
