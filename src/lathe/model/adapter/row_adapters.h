// Adapters of a pass whose sequences have their own: several LoRAs and steering vectors on one model
// in one batch (Sheng et al. 2023, arXiv:2311.03285). What a row gets does not depend on the other
// rows of the pass, to the bit.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "lathe/model/adapter/lora_adapter.h"
#include "lathe/model/adapter/steering.h"
#include "lathe/nn/adapters.h"
#include "lathe/ops/rows.h"

namespace lathe {

// What one text has in addition to the model; several adapters add up.
struct Adaptation {
  std::vector<std::shared_ptr<const LoraAdapter>> loras = {};
  std::optional<Steering> steering = {};

  bool empty() const { return loras.empty() && !steering; }
  // Equal for what computes the same; empty for nothing.
  std::string identity() const;
  friend bool operator==(const Adaptation&, const Adaptation&) = default;
};

// Passes without a tape: nothing here has a gradient yet.
class RowAdapters : public Adapters {
 public:
  // One for each sequence of `rows`, and of the encoder's `text` if there is one, which steering
  // leaves alone.
  RowAdapters(std::vector<Adaptation> sequences, const Sequences& rows,
              const Sequences* text = nullptr);

  // All throw kShape for rows that are not those of the pass, kConfig for a pass with a tape.
  Var add_to_product(const Pass& pass, const Parameter& p, const Var& x, const Var& y,
                     const Var& b) const override;
  Var add_to_expert_product(const Pass& pass, const Parameter& p, const Var& x, const Var& y,
                            const ops::ExpertPlan& plan) const override;
  Var add_to_weight(const Pass& pass, const Parameter& p, const Var& w,
                    size_t stretch) const override;
  std::vector<int64_t> stretches() const override;
  Var add_to_lookup(const Pass& pass, const Parameter& p, const Tensor& ids,
                    const Var& y) const override;
  Var add_to_layer_output(const Pass& pass, int64_t layer, const Var& x) const override;
  const Adapters& of_text() const override;

 private:
  // Sequences that follow one another and have the same.
  struct Stretch {
    Adaptation what;
    int64_t first, rows;
  };
  void check(const Pass& pass, int64_t rows) const;

  std::vector<Stretch> stretches_;
  std::vector<int32_t> stretch_of_row_;
  std::unique_ptr<RowAdapters> text_;
};

}  // namespace lathe
