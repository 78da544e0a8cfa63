// How a model knows where a token stands, and the catalogue of ways.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "lathe/nn/catalogue.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"
#include "lathe/nn/position/rope_scaling.h"

namespace lathe {

struct PositionOptions {
  int64_t hidden_size = 0;
  int64_t rotary_width = 0;  // channels of a head that rotate, R
  int64_t max_positions = 0;
  int64_t offset = 0;  // learned: the row of position 0
  double init_std = 0.02;
  double rope_theta = 10000.0;
  std::optional<double> rope_local_theta = {};  // unscaled, in local layers; default: as everywhere
  kernels::RopeLayout rope_layout = kernels::RopeLayout::kHalfSplit;
  RopeScaling scaling = {};
};

// One object per model, asked at two places: where tokens become vectors, and where queries meet
// keys.
class Position : public Module {
 public:
  // x [B,T,C], the embedded tokens.
  virtual Var add_to_embedding(const Forward&, const Var& x) { return x; }
  // q [B,T,H,D], k [B,T,K,D], before they meet. `local`: the layer sees a window only.
  virtual std::pair<Var, Var> apply_to_heads(const Forward&, bool local, const Var& q,
                                             const Var& k) {
    (void)local;
    return {q, k};
  }
  // The longest sequence that can be placed; 0 when any can.
  virtual int64_t limit() const { return 0; }
  void visit(ModuleVisitor&) override {}
};

using MakePosition = std::unique_ptr<Position> (*)(const PositionOptions&);
std::span<const CatalogueEntry<MakePosition>> positions();

// One function per file in position/.
std::unique_ptr<Position> make_no_position(const PositionOptions& options);
std::unique_ptr<Position> make_learned_position(const PositionOptions& options);
std::unique_ptr<Position> make_rope(const PositionOptions& options);

}  // namespace lathe
