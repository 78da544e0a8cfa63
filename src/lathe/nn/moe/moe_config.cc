#include "lathe/nn/moe/moe_config.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "lathe/base/catalogue.h"
#include "lathe/nn/moe/moe.h"
#include "lathe/nn/moe/router.h"

namespace lathe {
namespace {

constexpr std::string_view kSection = "model.moe";

template <class... Args>
void refuse_if(bool wrong, std::string_view key, fmt::format_string<Args...> format,
               Args&&... args) {
  if (wrong)
    fail(ErrorKind::kConfig, fmt::format("{}.{}", kSection, key), format,
         std::forward<Args>(args)...);
}

const RouterComponent& entry_of(const MoeConfig& c) {
  return find_in(routers(), "model.moe.router", c.router);
}

const ComponentConfig& own_keys(const MoeConfig& c) { return c.router_keys.of(c.router); }

RouterTraits traits_of(const MoeConfig& c) {
  return entry_of(c).traits({.config = c}, own_keys(c));
}

std::vector<std::string> routers_with_groups(const MoeConfig& c) {
  std::vector<std::string> names;
  for (const RouterComponent& e : routers())
    if (e.traits({.config = c}, e.config()).groups) names.emplace_back(e.name);
  return names;
}

void validate_groups(const MoeConfig& c) {
  const bool grouped = c.n_group > 1;
  refuse_if(grouped && !traits_of(c).groups, "n_group",
            "the router '{}' has no groups; use {}, or n_group = 1", c.router,
            fmt::join(routers_with_groups(c), " or "));
  refuse_if(c.num_experts % c.n_group != 0, "n_group",
            "{} experts do not make {} groups of equal size", c.num_experts, c.n_group);
  refuse_if(c.topk_group > c.n_group, "topk_group", "{} is more than the {} groups", c.topk_group,
            c.n_group);
  const int64_t size = c.num_experts / c.n_group;
  entry_of(c).check({.config = c}, own_keys(c), KeyErrors(std::string(kSection)));
  refuse_if(c.choices() > c.topk_group * size, "num_experts_per_tok",
            "{} experts per token, but only {} can be chosen; lower it, or raise {}", c.choices(),
            c.topk_group * size, grouped ? "topk_group" : "num_experts");
}

void validate_shared(const MoeConfig& c) {
  refuse_if(c.n_shared_experts > 0 && c.shared_expert_intermediate_size.value_or(0) > 0,
            "shared_expert_intermediate_size",
            "n_shared_experts gives the shared expert its width; set only one of them");
  refuse_if(c.shared_expert_gate && c.shared_width(1) == 0, "shared_expert_gate",
            "there is no shared expert; set n_shared_experts or shared_expert_intermediate_size");
}

}  // namespace

MoeConfig::MoeConfig() : router_keys(routers()) {}

void MoeConfig::visit(Visitor& v) {
  v.field("num_experts", num_experts, "routed experts E; 0: a dense model", between(0, 65536));
  v.choice("router", router, names_of(routers()), "how tokens are assigned to experts");
  v.field("num_experts_per_tok", num_experts_per_tok,
          "experts per token k; on average for expert_choice; switch takes 1, gshard 2",
          at_least(1));
  v.field("norm_topk_prob", norm_topk_prob,
          "divide the weights of a token's experts by their sum (softmax_topk, sigmoid)");
  v.field("routed_scaling_factor", routed_scaling_factor, "multiplies those weights", above(0));
  v.field("n_group", n_group, "groups of experts (softmax_topk, sigmoid)", at_least(1));
  v.field("topk_group", topk_group, "groups that a token may choose from", at_least(1));
  v.field("router_bias", router_bias, "a bias in the router");
  v.field("router_jitter_noise", router_jitter_noise,
          "multiply the router's input by a random factor of 1 ± this in training",
          between(0, 0.99));
  v.field("jitter_experts", jitter_experts,
          "give the noisy input to the experts as well, as Mixtral does");
  v.field("capacity_factor", capacity_factor,
          "in training an expert takes at most this · k · T / E tokens of a sequence; 0: no limit",
          at_least(0));
  v.field("eval_capacity_factor", eval_capacity_factor, "the same when not training", at_least(0));
  v.field("expert_capacity", expert_capacity,
          "most tokens of a sequence that an expert takes, in training and evaluation",
          at_least(1));
  v.field("allow_non_causal", allow_non_causal,
          "accept expert_choice in a causal model, although later tokens affect the routing of "
          "earlier ones");
  v.choice("expert", expert, expert_names(), "feed-forward layer of an expert");
  v.field("moe_intermediate_size", moe_intermediate_size,
          "width of an expert; default intermediate_size", at_least(1));
  v.field("n_shared_experts", n_shared_experts,
          "experts that every token uses, computed as one layer of this many times the width",
          at_least(0));
  v.field("shared_expert_intermediate_size", shared_expert_intermediate_size,
          "width of the shared expert, instead of n_shared_experts", at_least(0));
  v.field("shared_expert_gate", shared_expert_gate, "weight the shared expert by sigmoid(x · w)");
  v.field("router_aux_loss_coef", router_aux_loss_coef,
          "weight of the balance loss of each layer; default 0.01, for sigmoid 0", at_least(0));
  v.field("router_z_loss_coef", router_z_loss_coef, "weight of the router's z-loss of each layer",
          at_least(0));
  v.field("balance_per_sequence", balance_per_sequence,
          "balance within each sequence instead of the micro-batch");
  router_keys.visit(v);
  v.field("first_k_dense_replace", first_k_dense_replace, "number of first layers without experts",
          at_least(0));
  v.field("decoder_sparse_step", decoder_sparse_step,
          "one in this many layers has experts, the last of each group", at_least(1));
  v.field("mlp_only_layers", mlp_only_layers, "layers without experts, counted from 0",
          at_least(0));
}

bool MoeConfig::in_layer(int64_t layer) const {
  return enabled() && layer >= first_k_dense_replace && (layer + 1) % decoder_sparse_step == 0 &&
         std::ranges::find(mlp_only_layers, layer) == mlp_only_layers.end();
}

int64_t MoeConfig::choices() const {
  return traits_of(*this).choices.value_or(num_experts_per_tok);
}

double MoeConfig::balance_coefficient() const {
  return router_aux_loss_coef.value_or(traits_of(*this).balance);
}

int64_t MoeConfig::shared_width(int64_t expert_width) const {
  return shared_expert_intermediate_size.value_or(n_shared_experts * expert_width);
}

void validate(const MoeConfig& c) {
  if (!c.enabled()) return;
  validate_groups(c);
  validate_shared(c);
}

bool is_causal(const MoeConfig& c) { return !c.enabled() || traits_of(c).causal; }

}  // namespace lathe
