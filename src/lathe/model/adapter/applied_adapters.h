// Adapters of all rows of a pass, of any kind: with a tape for training and gradients, without one for
// inference. (RowAdapters has different ones for each sequence.)
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/model/adapter/adapter.h"
#include "lathe/model/adapter/steering.h"
#include "lathe/nn/adapters.h"

namespace lathe {

// Several act one after the other. Immutable; thread-safe as the pass is.
class AppliedAdapters : public Adapters {
 public:
  // `rng` names the streams of their dropout in training. Errors: kConfig if more than one of them
  // puts tokens before the text.
  explicit AppliedAdapters(std::vector<std::shared_ptr<const Adapter>> adapters,
                           std::optional<Steering> steering = {}, const Rng& rng = Rng(0));

  Var add_to_product(const Pass& pass, const Parameter& p, const Var& x, const Var& y,
                     const Var& b) const override;
  Var add_to_expert_product(const Pass& pass, const Parameter& p, const Var& x, const Var& y,
                            const ops::ExpertPlan& plan) const override;
  // Error kConfig for one that also changes the bias of `p`, of which nothing is known here.
  Var add_to_weight(const Pass& pass, const Parameter& p, const Var& w,
                    size_t stretch) const override;
  Var add_to_lookup(const Pass& pass, const Parameter& p, const Tensor& ids,
                    const Var& y) const override;
  std::optional<Var> replacement(const Pass& pass, const Parameter& p,
                                 ParameterUse use) const override;
  int64_t virtual_tokens() const override;
  Var virtual_embeddings(const Pass& pass) const override;
  std::optional<KeyValuePrefix> prefix_of_layer(const Pass& pass, int64_t layer) const override;
  Var add_to_layer_output(const Pass& pass, int64_t layer, const Var& x) const override;
  const Adapters& of_text() const override;

  // The sum of the adapters' own losses; undefined for most.
  Var regularization(const Pass& pass) const;

 private:
  struct Acting {
    std::vector<const AdaptedModule*> products, lookups;
    std::vector<const ReplacedValue*> replaced;
  };
  const Acting* acting_on(const Parameter& p) const;
  Var apply(const Pass& pass, const Parameter& p, const AdaptedModule& module, const Var& x,
            const Var& y, const Var& b) const;

  std::vector<std::shared_ptr<const Adapter>> adapters_;
  std::unordered_map<std::string, Acting> acting_;  // by the parameter's name
  const Adapter* prompt_ = nullptr;
  std::optional<Steering> steering_;
  Rng rng_;
  std::unique_ptr<AppliedAdapters> text_;  // without steering
};

// w, in the orientation that products have, with what the module's adapter makes of its rows.
Var with_module(const Pass& pass, const AdaptedModule& module, const Var& w);
// b, the bias of that matrix, with what the module's adapter makes of its elements.
Var with_bias(const AdaptedModule& module, const Var& b);
// The parameter's value with the replaced one in its rows; `own` is the whole value.
Var with_value(const Pass& pass, const ReplacedValue& value, const Var& own);

}  // namespace lathe
