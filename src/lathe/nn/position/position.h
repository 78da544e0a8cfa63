// Position encodings and their catalogue.
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

// What every encoding is given: the sizes of a stack of blocks, and which tokens attend to which in
// it.
struct PositionShape {
  int64_t hidden_size = 0, heads = 0, layers = 0;
  int64_t max_positions = 0;
  int64_t head_dim = 0;
  int64_t key_width = 0, value_width = 0;  // of a head: of queries and keys, and of values
  int64_t rotary_width = 0;                // channels of a head that can rotate
  // As in AttentionTraits: those channels are separate; keys and values of heads are kept.
  bool rotary_apart = false, keeps_heads = true;
  double init_std = 0.02;
  bool causal = true;          // a token sees only earlier ones, except those of a prefix
  bool sees_later = false;     // some tokens see later ones
  std::string_view body = {};  // for errors
};

// The properties of an encoding that are known without building it.
struct PositionTraits {
  bool rotates = false;  // changes queries and keys
  double temperature =
      1.0;  // factor on q·k, applied twice, in attention with separate rotary channels
};

// The layer in which attention happens.
struct AttentionSite {
  int64_t layer = 0;
  bool local = false;  // the layer sees only a window
  double scale = 1.0;  // of q·k
};

// What the positions of one pass do to queries, keys and scores. It is made once per pass by the
// module, which it must not outlive, and used by every layer. The position of a token depends only
// on its own sequence, not on other sequences in the pass.
class PassPositions {
 public:
  virtual ~PassPositions() = default;
  // Applied to q [N,H,D] and k [N,K,D] before their product; their memory may be overwritten.
  virtual std::pair<Var, Var> apply_to_heads(const Forward&, const AttentionSite&, const Var& q,
                                             const Var& k) const {
    return {q, k};
  }
  // Of a pass that streams (nn/streaming.h): q [N,H,D], before apply_to_heads(), which it leaves as
  // it is, at the positions from which sink tokens are seen. Undefined without sinks.
  Var query_for_sinks(const Forward& f, const AttentionSite& site, const Var& q) const {
    const auto& streaming = f.pass->streaming;
    return streaming && streaming->sinks > 0 ? turned_for_sinks(f, site, q) : Var();
  }
  // Biases and relations between positions, for q [N,H,D] and the keys of f.rows.
  virtual void add_to_scores(const Forward&, const AttentionSite&, const Var& q,
                             ops::AttentionInputs& inputs) const {
    (void)q, (void)inputs;
  }

 private:
  virtual Var turned_for_sinks(const Forward&, const AttentionSite&, const Var& q) const {
    return q;
  }
};

// One object per stack of blocks.
class Position : public Module {
 public:
  // x [N,C], the embedded tokens.
  virtual Var add_to_embedding(const Forward&, const Var& x) const { return x; }
  // For a pass whose activations have the type and the device of `x`.
  virtual std::unique_ptr<PassPositions> begin(const Forward& f, const Tensor& x) const {
    (void)f, (void)x;
    return std::make_unique<PassPositions>();
  }
  // Whether the first `before` tokens of a text have other positions once it has `after` tokens, so
  // that what layers computed from them (a cache) is no longer valid.
  virtual bool moves_tokens(int64_t before, int64_t after) const {
    (void)before, (void)after;
    return false;
  }
  // Whether scores depend on distances alone, so that tokens may be left out between others
  // (nn/streaming.h).
  virtual bool follows_distances() const { return false; }
  // The longest sequence that has positions; 0 if there is no limit.
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
