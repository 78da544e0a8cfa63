#include "lathe/model/stack.h"

#include "lathe/nn/adapters.h"
#include "lathe/nn/attention/memory.h"
#include "lathe/ops/elementwise.h"

namespace lathe {

Block::Block(const ModelConfig& c, const StackSpec& stack, int64_t layer)
    : placement_(placement_of(c)),
      parallel_(c.parallel_block != "none"),
      dropout_(c.hidden_dropout),
      residual_scale_(placement_.deep ? stack.deep.alpha : 1.0),
      attention_norms_(make_norms(c)),
      attention_(make_attention(c, stack, layer)),
      ffn_(make_ffn(c, stack, layer)) {
  if (stack.crosses) {
    cross_norms_ = make_norms(c);
    cross_ = make_cross_attention(c, stack, layer);
  }
  if (c.parallel_block != "shared_norm") ffn_norms_ = make_norms(c);
}

Block::Norms Block::make_norms(const ModelConfig& c) const {
  Norms norms;
  if (placement_.before) norms.before = make_norm(c);
  if (placement_.after_branch || placement_.after_sum) norms.after = make_norm(c);
  return norms;
}

Var Block::attend(const Forward& f, const PassPositions& positions, const Var& x) const {
  const Var y = attention_->forward(f, positions, x);
  return f.training() ? ops::dropout(y, dropout_, f.rng.fork("attention")) : y;
}

Var Block::attend_across(const Forward& f, const PassPositions& positions, const Var& x) const {
  const Var y = cross_->forward(f.with_rng(f.rng.fork("cross")), positions, x);
  return f.training() ? ops::dropout(y, dropout_, f.rng.fork("cross")) : y;
}

Var Block::feed(const Forward& f, const Var& x) const {
  const Var y = ffn_->forward(f, x);
  return f.training() ? ops::dropout(y, dropout_, f.rng.fork("ffn")) : y;
}

template <class Branch>
Var Block::add_branch(const Forward& f, const Norms& norms, const Var& x, Branch&& branch) const {
  const Var h = norms.before ? norms.before->forward(f, x) : x;
  Var y = branch(h);
  if (placement_.after_branch) y = norms.after->forward(f, y);
  const Var sum = ops::add(ops::scale(placement_.keeps_normed ? h : x, residual_scale_), y);
  return placement_.after_sum ? norms.after->forward(f, sum) : sum;
}

Var Block::forward_parallel(const Forward& f, const PassPositions& positions, const Var& x) const {
  const Var h = attention_norms_.before->forward(f, x);
  const Var a = attend(f, positions, h);
  const Var m = feed(f, ffn_norms_.before ? ffn_norms_.before->forward(f, x) : h);
  return ops::add(x, ops::add(a, m));
}

Var Block::forward(const Forward& f, const PassPositions& positions, const Var& input) const {
  if (parallel_) return forward_parallel(f, positions, input);
  Var x =
      add_branch(f, attention_norms_, input, [&](const Var& h) { return attend(f, positions, h); });
  if (cross_)
    x = add_branch(f, cross_norms_, x,
                   [&](const Var& h) { return attend_across(f, positions, h); });
  return add_branch(f, ffn_norms_, x, [&](const Var& h) { return feed(f, h); });
}

void Block::visit(ModuleVisitor& v) {
  // A placement with one norm a branch calls it attention_norm wherever it stands.
  const auto visit_norms = [&](const std::string& branch, const Norms& norms) {
    if (norms.before) v.child(branch + "_norm", *norms.before);
    if (norms.after) v.child(branch + (norms.before ? "_post_norm" : "_norm"), *norms.after);
  };
  visit_norms("attention", attention_norms_);
  v.child("attention", *attention_);
  if (cross_) {
    visit_norms("cross", cross_norms_);
    v.child("cross", *cross_);
  }
  visit_norms("ffn", ffn_norms_);
  v.child("ffn", *ffn_);
}

Stack::Stack(const ModelConfig& c, const StackSpec& spec)
    : dropout_(c.hidden_dropout), position_(make_position(c, spec)) {
  if (c.norm.embedding) embedding_norm_ = make_norm(c);
  for (int64_t i = 0; i < spec.layers; ++i) blocks_.push_back(std::make_unique<Block>(c, spec, i));
  if (c.norm.final) final_norm_ = make_norm(c);
}

namespace {

// The block's input and, where there is one, the encoder's output are all that is kept.
Var forward_again(const Block& block, const Forward& f,
                  const std::shared_ptr<const PassPositions>& positions, const Var& x) {
  std::vector<Var> inputs = {x};
  EncoderMemory memory;
  if (f.memory != nullptr) {
    inputs.push_back(f.memory->states);
    memory = {Var(), f.memory->sequences, f.memory->segments};
  }
  return checkpoint(f.pass->tape, std::move(inputs),
                    [&block, positions, outer = *f.pass, rows = *f.rows, rng = f.rng, memory](
                        std::span<const Var> in, Tape* tape) {
                      Pass pass = outer;
                      pass.tape = tape;
                      Forward inner{&pass, &rows, rng};
                      EncoderMemory read = memory;
                      if (in.size() > 1) {
                        read.states = in[1];
                        inner.memory = &read;
                      }
                      return block.forward(inner, *positions, in[0]);
                    });
}

}  // namespace

Var Stack::forward(const Forward& f, const Var& embedded, Recompute recompute) const {
  Var x = position_->add_to_embedding(f, embedded);
  const std::shared_ptr<const PassPositions> positions = position_->begin(f, x.value);
  if (embedding_norm_) x = embedding_norm_->forward(f, x);
  if (f.training()) x = ops::dropout(x, dropout_, f.rng.fork("embedding"));
  const bool again = recompute == Recompute::kFull && f.pass->tape != nullptr;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Forward layer = f.with_rng(f.rng.fork("layer").fork(i));
    const Block& block = *blocks_[i];
    x = again ? forward_again(block, layer, positions, x) : block.forward(layer, *positions, x);
    if (f.pass->adapters != nullptr)
      x = f.pass->adapters->add_to_layer_output(*f.pass, static_cast<int64_t>(i), x);
  }
  return final_norm_ ? final_norm_->forward(f, x) : x;
}

void Stack::visit(ModuleVisitor& v) {
  if (embedding_norm_) v.child("embedding_norm", *embedding_norm_);
  v.child("position", *position_);
  for (size_t i = 0; i < blocks_.size(); ++i) v.child(fmt::format("layers.{}", i), *blocks_[i]);
  if (final_norm_) v.child("final_norm", *final_norm_);
}

}  // namespace lathe
