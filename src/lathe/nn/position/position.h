// How a model knows where a token stands, and the catalogue of ways.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "lathe/config/component.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"
#include "lathe/ops/attention_bias.h"

namespace lathe {

// What every way is given: the sizes of a stack of blocks, and who sees whom in it.
struct PositionShape {
  int64_t hidden_size = 0, heads = 0, layers = 0;
  int64_t max_positions = 0;
  int64_t head_dim = 0;
  int64_t key_width = 0, value_width = 0;  // of a head, where queries meet keys and of its values
  int64_t rotary_width = 0;                // channels of a head that can rotate
  // What AttentionTraits says: those channels are set apart; keys and values of heads are kept.
  bool rotary_apart = false, keeps_heads = true;
  double init_std = 0.02;
  bool causal = true;          // a token sees earlier ones only, but for those of a prefix
  bool sees_later = false;     // some tokens see later ones
  std::string_view body = {};  // for errors
};

// What is asked of a way without building it.
struct PositionTraits {
  bool rotates = false;  // makes queries and keys anew
  double temperature =
      1.0;  // what attention that sets rotary channels apart multiplies q·k by, twice
};

// Where attention happens.
struct AttentionSite {
  int64_t layer = 0;
  bool local = false;  // the layer sees a window only
  double scale = 1.0;  // of q·k
};

// What the positions of one pass do where queries meet keys and where scores become weights. Made once
// per pass by the module, which it must not outlive, and asked by every layer. Every token is placed
// by its own sequence alone, whatever other sequences are in the pass.
class PassPositions {
 public:
  virtual ~PassPositions() = default;
  // q [N,H,D], k [N,K,D], before they meet; their memory may be overwritten.
  virtual std::pair<Var, Var> apply_to_heads(const Forward&, const AttentionSite&, const Var& q,
                                             const Var& k) const {
    return {q, k};
  }
  // Biases and relations between positions, for q [N,H,D] and the keys of f.rows.
  virtual void add_to_scores(const Forward&, const AttentionSite&, const Var& q,
                             ops::AttentionInputs& inputs) const {
    (void)q, (void)inputs;
  }
};

// One object per stack of blocks.
class Position : public Module {
 public:
  // x [N,C], the embedded tokens.
  virtual Var add_to_embedding(const Forward&, const Var& x) const { return x; }
  // For a pass with activations of the type and on the device of `x`.
  virtual std::unique_ptr<PassPositions> begin(const Forward& f, const Tensor& x) const {
    (void)f, (void)x;
    return std::make_unique<PassPositions>();
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

using PositionComponent = Component<Position, PositionShape, PositionTraits>;
std::span<const PositionComponent> positions();

template <class Class, class Config = NoConfig>
PositionComponent position_component(const ComponentText& text) {
  return component<Position, PositionShape, Class, Config, PositionTraits>(text);
}

}  // namespace lathe
