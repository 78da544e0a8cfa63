// How a model knows where a token stands, and the catalogue of ways.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "lathe/base/catalogue.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"
#include "lathe/nn/position/rope_scaling.h"
#include "lathe/ops/attention_bias.h"

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
  bool rope_blank = false;  // two places of every token: rope.cc
  RopeScaling scaling = {};
  int64_t heads = 0, layers = 0, key_width = 0, value_width = 0;  // for tables of their own
  ops::BucketSpec buckets = {};                                   // t5
  int64_t shaw_distance = 16;  // shaw: distances beyond are alike
  bool alibi_by_key = false;   // alibi as Falcon rounds it
  bool causal = true;          // else keys after the query have distances, too
};

// Where attention happens.
struct AttentionSite {
  int64_t layer = 0;
  bool local = false;  // the layer sees a window only
  double scale = 1.0;  // of q·k
};

// One object per stack of blocks, asked at three places: where tokens become vectors, where queries
// meet keys, and where scores become weights.
class Position : public Module {
 public:
  // x [B,T,C], the embedded tokens.
  virtual Var add_to_embedding(const Forward&, const Var& x) { return x; }
  // q [B,T,H,D], k [B,T,K,D], before they meet; their memory may be overwritten.
  virtual std::pair<Var, Var> apply_to_heads(const Forward&, const AttentionSite&, const Var& q,
                                             const Var& k) {
    return {q, k};
  }
  // Biases and relations between positions, for q [B,T,H,D] and k [B,S,K,D].
  virtual void add_to_scores(const Forward&, const AttentionSite&, const Var& q, const Var& k,
                             ops::AttentionInputs& inputs) {
    (void)q, (void)k, (void)inputs;
  }
  // Whether the first `before` tokens of a text are placed otherwise once it has `after` tokens, so
  // that what layers made of them (a cache) no longer holds.
  virtual bool moves_tokens(int64_t before, int64_t after) const {
    (void)before, (void)after;
    return false;
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
std::unique_ptr<Position> make_sinusoidal_position(const PositionOptions& options);
std::unique_ptr<Position> make_alibi(const PositionOptions& options);
std::unique_ptr<Position> make_t5_position(const PositionOptions& options);
std::unique_ptr<Position> make_shaw_position(const PositionOptions& options);

}  // namespace lathe
