// The cost of a model, as formulas of its configuration: `lathe inspect`, the planner of `lathe
// demo` and the reports all take their numbers from here.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lathe/model/transformer.h"

namespace lathe {

struct ModuleSummary {
  std::string name, kind;                          // "qkv", "Linear"
  int depth = 0;                                   // 0 is the Transformer itself
  int64_t parameters = 0;                          // of everything below
  std::vector<std::pair<std::string, Shape>> own;  // its own parameters
};

// The tree in the order of visit(). It needs no memory for the weights.
std::vector<ModuleSummary> summarize_modules(Transformer& model);

struct CostOptions {
  int64_t seq_len = 0;     // T; every query sees (T+1)/2 keys on average
  int64_t text_len = 0;    // S, the text that the encoder reads; 0: the same as T
  int64_t batch_size = 1;  // B, of one micro-batch
  DType compute = DType::kBF16;
  Recompute recompute = Recompute::kNone;
  int64_t optimizer_bytes = 0;  // of the optimiser's state: Optimizer::state_bytes()
};

// With N the parameters of all matrices that a token is multiplied with (the head included, tables
// that are only looked up not, of routed experts those that a token chooses), H heads of width Dk
// where queries meet keys and Dv of values, K key/value heads of width D, S the sum over the layers
// of the keys that a query sees on average (T/2 without a window; counted for block-sparse layers),
// and e bytes of the compute dtype:
//   forward        2·N + 2·S·H·(Dk + Dv), FLOPs a token; 2·N + 2·L·H·D·T without windows. A body
//                  with an encoder: of a decoder's token, the encoder's work shared out among them
//   training       three times that, FLOPs a token; the 6·N + 6·L·T·C of the literature
//   weights        4 bytes of f32 master, plus e for matrices if e < 4
//   gradients      4 bytes a parameter
//   optimiser      optimizer_bytes
//   activations    what the tape keeps from forward to backward for B·T tokens, see summary.cc
//   cache          2·L·K·D·e, bytes a token of a sequence; L·(rank + rotary width)·e if latent;
//                  what convolutions keep in addition does not grow with the sequence
struct ModelCost {
  int64_t parameters = 0, multiplied = 0;
  double forward_flops = 0, training_flops = 0;  // a token
  int64_t weight_bytes = 0, gradient_bytes = 0, optimizer_bytes = 0, activation_bytes = 0;
  int64_t cache_bytes_per_token = 0;
};

ModelCost model_cost(const Transformer& model, const CostOptions& options);

// Bytes of the weights, as they are in memory, that decoding one token reads: all but tables of which
// only rows are looked up, and of experts those that a token chooses.
int64_t weight_bytes_per_token(const Transformer& model);

}  // namespace lathe
