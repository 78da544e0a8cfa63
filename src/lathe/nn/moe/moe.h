// The feed-forward layer as a mixture of experts.
//
//   y = sum over the chosen experts e of gate_e(x) · expert_e(x)  (+ [sigmoid(x · w)] shared(x))
//
// Routed experts are gated or plain feed-forward layers of their own width (fine-grained experts,
// Dai et al. 2024, arXiv:2401.06066, are narrow and many); the shared expert is one such layer that
// every token uses (arXiv:2401.06066), optionally weighted by its own gate (Qwen2-MoE). No token is
// dropped unless the configuration sets a capacity.
//
// In training, the layer attaches coefficient · f.pass->auxiliary_scale times its balance loss and
// z-loss to its output (ops/moe_losses.h), so they take part in the gradient but not in the loss
// that the model reports. The losses are means over the tokens of a micro-batch, and micro-batches
// are weighted by auxiliary_scale, so gradient accumulation does not change their weight; the
// balance loss, which is not linear in tokens, is that of each micro-batch. Coefficients apply to
// each layer, as in the Switch Transformer paper; transformers pools the layers into one loss,
// which has the size of one layer's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lathe/nn/ffn/ffn.h"
#include "lathe/nn/moe/moe_config.h"

namespace lathe {

// Parameters:
//   router.weight [E,C] (router.bias [E], router.e_score_correction_bias [E])
//   experts.gate_up.weight [E·2F,C]: gate, then up, of each expert; for "mlp"
//   experts.up.weight [E·F,C]
//   experts.down.weight [E·C,F]
//   shared.… as in the dense layer, shared_gate.weight [1,C]
// Parameter::parts lists each matrix, so part 2·e is the gate of expert e and 2·e + 1 its up.
// `options` as for a dense layer; intermediate_size is the default width of an expert. Throws
// kConfig for a configuration that validate() refuses.
std::unique_ptr<FeedForward> make_moe(const FeedForwardShape& options, const MoeConfig& config);

// The kinds of feed-forward layers that can be an expert, by name, in alphabetical order.
std::vector<std::string> expert_names();
// The traits of the kind that the configuration names.
FeedForwardTraits expert_traits(const MoeConfig& config);

// Sparse upcycling (Komatsuzaki et al. 2022, arXiv:2212.05055): writes the weights of `dense` (of a
// kind that can be an expert) into the value of every routed expert of `moe` (made by make_moe).
// Router and shared expert do not change. With gates that sum to 1 (norm_topk_prob) the layer then
// computes the same as `dense`. Throws kShape unless experts have the shape of `dense`.
void upcycle(FeedForward& moe, FeedForward& dense);

}  // namespace lathe
