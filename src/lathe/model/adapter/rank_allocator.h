// AdaLoRA's schedule of ranks (Zhang et al. 2023, arXiv:2303.10512): while an adapter is trained, the
// ranks that matter least are taken away until a budget is met.
#pragma once

#include <functional>
#include <span>

#include "lathe/model/adapter/adapter.h"
#include "lathe/nn/parameter_gradients.h"

namespace lathe {

// The importance of a number θ is the product of two moving averages: of |θ·dL/dθ| (sensitivity,
// beta1) and of its distance to that average (uncertainty, beta2). A rank's is that of its singular
// value plus the means over its row of A and its column of B. The budget is that of all modules:
//   b(t) = b_first                                         t ≤ tinit
//   b(t) = b_last + (b_first − b_last)·(1 − (t − tinit) / (total_step − tinit − tfinal))³
//   b(t) = b_last = target_r · modules                     t > total_step − tfinal
// Every deltaT steps all ranks but the b(t) most important lose their singular value, and may have it
// back; from total_step − tfinal on they stay as they are.
//
// Belongs to one thread.
class RankAllocator {
 public:
  // The adapter outlives it. Errors: kConfig for another kind, without total_step, or with phases that
  // leave no step between them.
  explicit RankAllocator(Adapter& adapter);

  // Sets rows of a parameter [r, 1], and of all copies that training keeps of it, to zero.
  using Zero = std::function<void(Parameter& p, std::span<const int64_t> rows)>;
  // After update `step`, counted from 0, with the gradients of that update. Notes which ranks are left
  // in the adapter's configuration (rank_pattern), which save_adapter() keeps.
  void update(int64_t step, ParameterGradients& gradients, const Zero& zero);

  int64_t budget(int64_t step) const;
  // The moving averages, f64, by the names of the parameters with "sensitivity." or "uncertainty."
  // before them: what a checkpoint needs to go on to the same bits.
  const TensorsByName& state() const { return state_; }
  // Error kFormat for averages of another adapter.
  void restore(TensorsByName state);

 private:
  struct Triplet {
    std::string module;
    Parameter *a, *b, *e;
  };
  void measure(const Parameter& p, ParameterGradients& gradients);
  std::vector<double> importance(const Parameter& p, int dim) const;
  void take_away(int64_t budget, const Zero& zero);
  void keep_away(const Zero& zero) const;

  Adapter& adapter_;
  std::vector<Triplet> triplets_;
  TensorsByName state_;
  int64_t first_budget_ = 0, last_budget_ = 0;
  int64_t tinit_, total_, delta_, end_;  // end_: total_step − tfinal
  double beta1_, beta2_;
};

}  // namespace lathe
