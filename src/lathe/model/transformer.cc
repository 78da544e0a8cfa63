#include "lathe/model/transformer.h"

#include <cmath>

#include "lathe/base/parallel.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/linear.h"

namespace lathe {
namespace {

std::unique_ptr<Norm> make_norm(const ModelConfig& c) {
  return find_in(norms(), "model.norm.kind", c.norm.kind)
      .make({c.hidden_size, c.norm.eps, c.norm.bias});
}

// Output projections add to the residual stream 2·L times (Radford et al. 2019).
double output_std(const ModelConfig& c) {
  if (!c.scale_residual_init) return c.initializer_range;
  return c.initializer_range / std::sqrt(2.0 * static_cast<double>(c.num_hidden_layers));
}

Tensor counting_positions(int64_t batch, int64_t tokens, int64_t first) {
  Tensor t({batch, tokens}, DType::kI32);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < tokens; ++i)
      t.data<int32_t>()[b * tokens + i] = static_cast<int32_t>(first + i);
  return t;
}

}  // namespace

Block::Block(const ModelConfig& c, int64_t layer)
    : pre_norm_(c.norm.placement == "pre"),
      dropout_(c.hidden_dropout),
      attention_norm_(make_norm(c)),
      ffn_norm_(make_norm(c)),
      attention_(make_grouped_attention({.hidden_size = c.hidden_size,
                                         .heads = c.num_attention_heads,
                                         .kv_heads = c.kv_heads(),
                                         .head_dim = c.head_width(),
                                         .bias = c.attention_bias,
                                         .dropout = c.attention_dropout,
                                         .init_std = c.initializer_range,
                                         .output_init_std = output_std(c),
                                         .layer = layer})),
      ffn_(find_in(feed_forwards(), "model.ffn.kind", c.ffn.kind)
               .make({.hidden_size = c.hidden_size,
                      .intermediate_size = c.ffn_width(),
                      .activation = kernels::find_activation(c.hidden_act),
                      .bias = c.mlp_bias,
                      .init_std = c.initializer_range,
                      .output_init_std = output_std(c)})) {}

Var Block::forward(const Forward& f, Position& position, const Var& input) {
  auto drop = [&](const Var& y, std::string_view site) {
    return f.training ? ops::dropout(y, dropout_, f.rng.fork(site)) : y;
  };
  Var x = input;
  if (pre_norm_) {
    x = ops::add(
        x, drop(attention_->forward(f, position, attention_norm_->forward(f, x)), "attention"));
    return ops::add(x, drop(ffn_->forward(f, ffn_norm_->forward(f, x)), "ffn"));
  }
  x = attention_norm_->forward(f,
                               ops::add(x, drop(attention_->forward(f, position, x), "attention")));
  return ffn_norm_->forward(f, ops::add(x, drop(ffn_->forward(f, x), "ffn")));
}

void Block::visit(ModuleVisitor& v) {
  v.child("attention_norm", *attention_norm_);
  v.child("attention", *attention_);
  v.child("ffn_norm", *ffn_norm_);
  v.child("ffn", *ffn_);
}

Transformer::Transformer(const ModelConfig& c)
    : config_(c), embedding_(c.vocab_size, c.hidden_size, c.initializer_range) {
  validate(c);
  position_ = find_in(positions(), "model.position.kind", c.position.kind)
                  .make({.hidden_size = c.hidden_size,
                         .head_dim = c.head_width(),
                         .max_positions = c.max_position_embeddings,
                         .init_std = c.initializer_range,
                         .rope_theta = c.position.rope_theta,
                         .rope_layout = c.position.rope_layout == "half"
                                            ? kernels::RopeLayout::kHalfSplit
                                            : kernels::RopeLayout::kInterleaved});
  for (int64_t i = 0; i < c.num_hidden_layers; ++i)
    blocks_.push_back(std::make_unique<Block>(c, i));
  if (c.norm.final) final_norm_ = make_norm(c);
  if (!c.tie_word_embeddings) {
    head_ = std::make_unique<Linear>(c.hidden_size, c.vocab_size, false, c.initializer_range);
    head_->weight.is_table = true;
  }
  for_each_parameter(*this, [](const std::string& path, Parameter& p) { p.name = path; });
}

void Transformer::allocate(DType dtype, Device device) {
  for (Parameter* p : parameters()) p->compute = p->value = Tensor(p->shape, dtype, device);
}

void Transformer::initialize(const Rng& rng) {
  for (Parameter* p : parameters()) {
    const Rng stream = rng.fork(p->name);
    visit_floating(p->value.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      T* values = p->value.data<T>();
      parallel_for(p->value.numel(), 1 << 14, [&](int64_t i) {
        const double x = p->init.kind == Initializer::Kind::kNormal
                             ? p->init.std * stream.normal(static_cast<uint64_t>(i))
                             : (p->init.kind == Initializer::Kind::kOnes ? 1.0 : 0.0);
        values[i] = from_double<T>(x);
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
  Var x = position_->add_to_embedding(f, embedding_.forward(f, ids));
  if (f.training) x = ops::dropout(x, config_.hidden_dropout, f.rng.fork("embedding"));
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Forward layer = f.with_rng(f.rng.fork("layer").fork(i));
    Block& block = *blocks_[i];
    if (recompute == Recompute::kFull && f.tape != nullptr) {
      x = checkpoint(x, [this, layer, &block](const Var& input, Tape* tape) {
        return block.forward(layer.with_tape(tape), *position_, input);
      });
    } else {
      x = block.forward(layer, *position_, x);
    }
  }
  return final_norm_ ? final_norm_->forward(f, x) : x;
}

Var Transformer::head(const Forward& f) { return f.use(head_ ? head_->weight : embedding_.weight); }

Var Transformer::logits(const Forward& f, const Var& hidden) {
  const DType type = hidden.value.dtype() == DType::kF64 ? DType::kF64 : DType::kF32;
  return ops::linear(hidden, head(f), Var(), type);
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
  v.child("position", *position_);
  for (size_t i = 0; i < blocks_.size(); ++i) v.child(fmt::format("layers.{}", i), *blocks_[i]);
  if (final_norm_) v.child("final_norm", *final_norm_);
  if (head_) v.child("head", *head_);
}

}  // namespace lathe
