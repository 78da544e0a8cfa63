#include "lathe/model/stack_spec.h"

#include <cmath>

namespace lathe {

NormPlacement placement_of(const ModelConfig& c) {
  return find_in(norm_placements(), "model.norm.placement", c.norm.placement).make;
}

namespace {

DeepNormConstants deep_norm_of_main(const ModelConfig& c) {
  if (placement_of(c).keeps_normed) return deep_norm_of_glm(c.num_hidden_layers);
  return c.body_traits().encoder ? deep_norm_of_decoder(c.num_hidden_layers)
                                 : deep_norm(c.num_hidden_layers);
}

DeepNormConstants deep_norm_beside_main(const ModelConfig& c) {
  if (placement_of(c).keeps_normed) return deep_norm_of_glm(c.encoder_layers());
  return deep_norm_of_encoder(c.encoder_layers(), c.num_hidden_layers);
}

InitScales init_scales(const ModelConfig& c, const StackSpec& stack) {
  const double std = c.initializer_range;
  if (placement_of(c).deep) {
    const double scaled = std * stack.deep.beta;
    return {.common = std, .values = scaled, .ffn_inputs = scaled, .outputs = scaled};
  }
  InitScales scales{.common = std, .values = std, .ffn_inputs = std, .outputs = std};
  if (!c.scale_residual_init) return scales;
  // Output projections add to the residual stream this many times (Radford et al. 2019).
  const int64_t branches = (stack.crosses ? 3 : 2) * stack.layers;
  scales.outputs = std / std::sqrt(static_cast<double>(branches));
  return scales;
}

}  // namespace

StackSpec main_stack(const ModelConfig& c) {
  const Body body = c.body_traits();
  StackSpec stack{.layers = c.num_hidden_layers,
                  .causal = body.causal,
                  .crosses = body.encoder,
                  .deep = deep_norm_of_main(c)};
  stack.init = init_scales(c, stack);
  return stack;
}

StackSpec encoder_stack(const ModelConfig& c) {
  StackSpec stack{.layers = c.encoder_layers(),
                  .causal = false,
                  .crosses = false,
                  .deep = deep_norm_beside_main(c)};
  stack.init = init_scales(c, stack);
  return stack;
}

}  // namespace lathe
