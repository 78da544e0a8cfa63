#include "lathe/model/transformer.h"

#include <cmath>

#include "lathe/base/parallel.h"
#include "lathe/model/components.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

Tensor counting_positions(int64_t batch, int64_t tokens, int64_t first) {
  Tensor t({batch, tokens}, DType::kI32);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < tokens; ++i)
      t.data<int32_t>()[b * tokens + i] = static_cast<int32_t>(first + i);
  return t;
}

}  // namespace

Block::Block(const ModelConfig& c, int64_t layer)
    : placement_(placement_of(c)),
      parallel_(c.parallel_block != "none"),
      dropout_(c.hidden_dropout),
      residual_scale_(placement_.deep ? deep_norm(c.num_hidden_layers).alpha : 1.0),
      attention_norms_(make_norms(c)),
      attention_(make_attention(c, layer)),
      ffn_(make_ffn(c, layer)) {
  if (c.parallel_block != "shared_norm") ffn_norms_ = make_norms(c);
}

Block::Norms Block::make_norms(const ModelConfig& c) const {
  Norms norms;
  if (placement_.before) norms.before = make_norm(c);
  if (placement_.after_branch || placement_.after_sum) norms.after = make_norm(c);
  return norms;
}

Var Block::attend(const Forward& f, Position& position, const Var& x) {
  const Var y = attention_->forward(f, position, x);
  return f.training ? ops::dropout(y, dropout_, f.rng.fork("attention")) : y;
}

Var Block::feed(const Forward& f, const Var& x) {
  const Var y = ffn_->forward(f, x);
  return f.training ? ops::dropout(y, dropout_, f.rng.fork("ffn")) : y;
}

template <class Branch>
Var Block::add_branch(const Forward& f, const Norms& norms, const Var& x, Branch&& branch) const {
  Var y = branch(norms.before ? norms.before->forward(f, x) : x);
  if (placement_.after_branch) y = norms.after->forward(f, y);
  const Var sum = ops::add(ops::scale(x, residual_scale_), y);
  return placement_.after_sum ? norms.after->forward(f, sum) : sum;
}

Var Block::forward_parallel(const Forward& f, Position& position, const Var& x) {
  const Var h = attention_norms_.before->forward(f, x);
  const Var a = attend(f, position, h);
  const Var m = feed(f, ffn_norms_.before ? ffn_norms_.before->forward(f, x) : h);
  return ops::add(x, ops::add(a, m));
}

Var Block::forward(const Forward& f, Position& position, const Var& input) {
  if (parallel_) return forward_parallel(f, position, input);
  const Var x =
      add_branch(f, attention_norms_, input, [&](const Var& h) { return attend(f, position, h); });
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
  visit_norms("ffn", ffn_norms_);
  v.child("ffn", *ffn_);
}

Transformer::Transformer(const ModelConfig& c)
    : config_(c), embedding_(c.vocab_size, c.hidden_size, c.initializer_range) {
  validate(c);
  if (c.norm.embedding) embedding_norm_ = make_norm(c);
  position_ = make_position(c);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i)
    blocks_.push_back(std::make_unique<Block>(c, i));
  if (c.norm.final) final_norm_ = make_norm(c);
  if (!c.tie_word_embeddings) {
    head_ =
        std::make_unique<Linear>(c.hidden_size, c.vocab_size, c.lm_head_bias, c.initializer_range);
    head_->weight.is_table = true;
  } else if (c.lm_head_bias) {
    head_bias_.emplace(Shape{c.vocab_size}, Initializer{Initializer::Kind::kZeros, 0});
  }
  for_each_parameter(*this, [](const std::string& path, Parameter& p) { p.name = path; });
}

void Transformer::allocate(DType dtype, Device device) {
  for (Parameter* p : parameters()) p->compute = p->value = Tensor(p->shape, dtype, device);
}

namespace {

// The standard deviation of element i of a parameter whose parts may differ in it.
class StdOf {
 public:
  explicit StdOf(const Parameter& p) : common_(p.init.std) {
    if (p.init.part_std.empty()) return;
    const int64_t per_row = p.shape.numel() / p.shape[0];
    int64_t end = 0;
    for (size_t i = 0; i < p.parts.size(); ++i)
      ends_.emplace_back(end += p.parts[i] * per_row, p.init.part_std[i]);
  }
  double operator()(int64_t i) const {
    for (const auto& [end, own] : ends_)
      if (i < end) return own;
    return common_;
  }

 private:
  double common_;
  std::vector<std::pair<int64_t, double>> ends_;
};

double fresh_value(const Initializer& init, const StdOf& deviation, const Rng& stream, int64_t i) {
  switch (init.kind) {
    case Initializer::Kind::kNormal:
      return deviation(i) * stream.normal(static_cast<uint64_t>(i));
    case Initializer::Kind::kZeros:
      return 0.0;
    case Initializer::Kind::kOnes:
      return 1.0;
  }
  return 0.0;
}

}  // namespace

void Transformer::initialize(const Rng& rng) {
  for (Parameter* p : parameters()) {
    const Rng stream = rng.fork(p->name);
    const StdOf deviation(*p);
    visit_floating(p->value.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      T* values = p->value.data<T>();
      parallel_for(p->value.numel(), 1 << 14, [&](int64_t i) {
        values[i] = from_double<T>(fresh_value(p->init, deviation, stream, i));
      });
    });
  }
}

Var Transformer::hidden(const Forward& base, const Tensor& ids, Recompute recompute) {
  Forward f = base;
  const int64_t held = f.cache != nullptr ? f.cache->length() : 0;
  if (!f.positions.defined()) f.positions = counting_positions(ids.size(0), ids.size(1), held);
  const int64_t limit = position_->limit();
  require(
      limit == 0 || held + ids.size(1) <= limit, ErrorKind::kData, "model",
      "a sequence of {} tokens, but {} positions were trained; shorten the text or generate less",
      held + ids.size(1), limit);
  Var x = ops::scale(
      embedding_.forward(f, ids),
      config_.scale_embedding ? std::sqrt(static_cast<double>(config_.hidden_size)) : 1.0);
  x = position_->add_to_embedding(f, x);
  if (embedding_norm_) x = embedding_norm_->forward(f, x);
  if (f.training) x = ops::dropout(x, config_.hidden_dropout, f.rng.fork("embedding"));
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Forward layer = f.with_rng(f.rng.fork("layer").fork(i));
    Block& block = *blocks_[i];
    if (recompute == Recompute::kFull && f.tape != nullptr) {
      x = checkpoint(f.tape, x, [this, layer, &block](const Var& input, Tape* tape) {
        return block.forward(layer.with_tape(tape), *position_, input);
      });
    } else {
      x = block.forward(layer, *position_, x);
    }
  }
  if (f.cache != nullptr) f.cache->advance(ids.size(1));
  if (final_norm_) x = final_norm_->forward(f, x);
  return ops::scale(x, config_.logit_scale);
}

ops::OutputHead Transformer::head(const Forward& f) {
  ops::OutputHead head(f.use(head_ ? head_->weight : embedding_.weight));
  if (auto& bias = head_ ? head_->bias : head_bias_) head.bias = f.use(*bias);
  head.softcap = config_.final_logit_softcapping;
  return head;
}

Var Transformer::logits(const Forward& f, const Var& hidden) {
  return ops::logits(hidden, head(f));
}

std::vector<Parameter*> Transformer::parameters() {
  std::vector<Parameter*> all;
  for_each_parameter(*this, [&](const std::string&, Parameter& p) { all.push_back(&p); });
  return all;
}

int64_t Transformer::parameter_count() {
  int64_t count = 0;
  for (const Parameter* p : parameters()) count += p->shape.numel();
  return count;
}

void Transformer::visit(ModuleVisitor& v) {
  v.child("embedding", embedding_);
  if (embedding_norm_) v.child("embedding_norm", *embedding_norm_);
  v.child("position", *position_);
  for (size_t i = 0; i < blocks_.size(); ++i) v.child(fmt::format("layers.{}", i), *blocks_[i]);
  if (final_norm_) v.child("final_norm", *final_norm_);
  if (head_) v.child("head", *head_);
  if (head_bias_) v.parameter("head_bias", *head_bias_);
}

}  // namespace lathe
