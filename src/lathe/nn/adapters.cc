#include "lathe/nn/adapters.h"

namespace lathe {

Var Adapters::add_to_product(const Pass& pass, const Parameter& p, const Var& x, const Var& y,
                             const Var& b) const {
  return inner_ != nullptr ? inner_->add_to_product(pass, p, x, y, b) : y;
}

Var Adapters::add_to_expert_product(const Pass& pass, const Parameter& p, const Var& x,
                                    const Var& y, const ops::ExpertPlan& plan) const {
  return inner_ != nullptr ? inner_->add_to_expert_product(pass, p, x, y, plan) : y;
}

Var Adapters::add_to_weight(const Pass& pass, const Parameter& p, const Var& w,
                            size_t stretch) const {
  return inner_ != nullptr ? inner_->add_to_weight(pass, p, w, stretch) : w;
}

std::vector<int64_t> Adapters::stretches() const {
  return inner_ != nullptr ? inner_->stretches() : std::vector<int64_t>();
}

Var Adapters::add_to_lookup(const Pass& pass, const Parameter& p, const Tensor& ids,
                            const Var& y) const {
  return inner_ != nullptr ? inner_->add_to_lookup(pass, p, ids, y) : y;
}

std::optional<Var> Adapters::replacement(const Pass& pass, const Parameter& p,
                                         ParameterUse use) const {
  return inner_ != nullptr ? inner_->replacement(pass, p, use) : std::nullopt;
}

int64_t Adapters::virtual_tokens() const {
  return inner_ != nullptr ? inner_->virtual_tokens() : 0;
}

Var Adapters::virtual_embeddings(const Pass& pass) const {
  return inner_ != nullptr ? inner_->virtual_embeddings(pass) : Var();
}

std::optional<KeyValuePrefix> Adapters::prefix_of_layer(const Pass& pass, int64_t layer) const {
  return inner_ != nullptr ? inner_->prefix_of_layer(pass, layer) : std::nullopt;
}

Var Adapters::add_to_layer_output(const Pass& pass, int64_t layer, const Var& x) const {
  return inner_ != nullptr ? inner_->add_to_layer_output(pass, layer, x) : x;
}

}  // namespace lathe
