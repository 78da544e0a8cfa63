#include "lathe/model/transformer.h"

#include <cmath>

#include "lathe/nn/adapters.h"
#include "lathe/nn/initialize.h"
#include "lathe/nn/position/rope.h"
#include "lathe/nn/product.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/moe_routing.h"
#include "lathe/ops/rearrange.h"

namespace lathe {
namespace {

Tensor zeros_like_ids(const Tensor& ids) { return Tensor::zeros(ids.shape(), DType::kI32); }

}  // namespace

Transformer::Transformer(const ModelConfig& c)
    : config_(c), embedding_(c.vocab_size, c.hidden_size, c.initializer_range) {
  validate(c);
  embedding_.weight.widened_in_use = true;
  if (c.type_vocab_size > 0)
    token_types_.emplace(c.type_vocab_size, c.hidden_size, c.initializer_range);
  if (c.body_traits().encoder) encoder_ = std::make_unique<Stack>(c, encoder_stack(c));
  stack_ = std::make_unique<Stack>(c, main_stack(c));
  for (int64_t depth = 1; depth <= c.num_nextn_predict_layers; ++depth)
    mtp_.push_back(std::make_unique<MtpModule>(c, main_stack(c), depth));
  if (c.head_transform)
    head_transform_.emplace(c.hidden_size, kernels::find_activation(c.hidden_act), make_norm(c),
                            c.initializer_range);
  if (c.num_labels > 0) {
    score_ =
        std::make_unique<Linear>(c.hidden_size, c.num_labels, c.lm_head_bias, c.initializer_range);
    if (c.pooler)
      pooler_ = std::make_unique<Linear>(c.hidden_size, c.hidden_size, true, c.initializer_range);
  } else if (!c.tie_word_embeddings && c.lm_head) {
    head_ =
        std::make_unique<Linear>(c.hidden_size, c.vocab_size, c.lm_head_bias, c.initializer_range);
    head_->weight.is_table = true;
  } else if (c.lm_head_bias) {
    head_bias_.emplace(Shape{c.vocab_size}, Initializer{Initializer::Kind::kZeros, 0});
  }
  for_each_parameter(*this, [](const std::string& path, Parameter& p) { p.name = path; });
}

void Transformer::allocate(DType dtype, Device device) {
  dtype_ = dtype;
  for (Parameter* p : parameters()) p->value = Tensor(p->shape, dtype, device);
}

void Transformer::initialize(const Rng& rng) {
  for (Parameter* p : parameters())
    if (p->value.tensor().holds_values()) draw(*p, rng.fork(p->name));
}

DType Transformer::activation_type(const Parameter& table) const {
  if (activations_) return *activations_;
  return table.value.packed() != nullptr ? dtype_ : table.value.tensor().dtype();
}

Device Transformer::device() const {
  for (const Parameter* p : parameters())
    if (p->value.packed() == nullptr) return p->value.tensor().device();
  return Device::kCpu;
}

namespace {

// x [N,C], embedded ids, with the vectors of the adapters in the rows of virtual tokens.
Var with_virtual_embeddings(const Forward& f, const Var& x) {
  const int64_t count = f.rows->virtual_tokens, width = x.shape()[1];
  if (count == 0) return x;
  const Sequences& sequences = f.rows->sequences;
  Tensor rows({sequences.count() * count}, DType::kI32);
  for (int64_t i = 0; i < rows.numel(); ++i)
    rows.data<int32_t>()[i] = static_cast<int32_t>(sequences.first(i / count) + i % count);
  const Var each = ops::cast(f.pass->adapters->virtual_embeddings(*f.pass), x.value.dtype());
  const Var nothing = Tensor({0, width}, x.value.dtype(), x.value.device());
  return ops::replace_rows(
      x, rows, ops::insert_before_each(nothing, Sequences::equal(sequences.count(), 0), each));
}

}  // namespace

Var Transformer::embed(const Forward& f, const Tensor& ids) const {
  const Var x = with_virtual_embeddings(
      f, ops::scale(
             embedding_.forward(f, ids, activation_type(embedding_.weight)),
             config_.scale_embedding ? std::sqrt(static_cast<double>(config_.hidden_size)) : 1.0));
  if (!token_types_) return x;
  const Tensor& types = f.rows->token_types;
  return ops::add(x, token_types_->forward(f, types.defined() ? types : zeros_like_ids(ids)));
}

Var Transformer::run(const Stack& stack, const Forward& f, Recompute recompute) const {
  const Rows rows = f.rows->with_positions();
  const int64_t limit = stack.limit();
  for (int64_t b = 0; b < rows.sequences.count() && limit > 0; ++b)
    require(rows.length_of(b) <= limit, ErrorKind::kData, "model",
            "the sequence has {} tokens, but only {} positions were trained; shorten the text or "
            "generate less",
            rows.length_of(b), limit);
  Forward placed = f;
  placed.rows = &rows;
  return stack.forward(placed, embed(placed, rows.ids), recompute);
}

std::optional<int64_t> Transformer::longest_text() const {
  return stack_->limit() == 0 ? std::nullopt : std::optional(stack_->limit());
}

std::optional<int64_t> Transformer::longest_encoder_text() const {
  return encoder_ == nullptr || encoder_->limit() == 0 ? std::nullopt
                                                       : std::optional(encoder_->limit());
}

EncoderMemory Transformer::encode(const Forward& base, Recompute recompute) const {
  require(encoder_ != nullptr, ErrorKind::kData, "model",
          "body \"{}\" has no encoder; give the text as input_ids alone", config_.body);
  Pass pass = base.pass->of_text();
  pass.cache = nullptr;
  const Forward f{&pass, base.rows, base.rng.fork("encoder")};
  return {run(*encoder_, f, recompute), f.rows->sequences, f.rows->segments};
}

void Transformer::check_context(const Rows& rows) const {
  for (int64_t b = 0; b < rows.sequences.count(); ++b) {
    const int64_t held = rows.context_of(b), more = rows.sequences.length(b);
    require(
        !outgrows_cache(held, more), ErrorKind::kData, "model",
        "a cache of {} tokens cannot be continued by {}: rotary scaling \"{}\" changes the "
        "positions of all tokens in the longer text; start with an empty cache and the whole text",
        held, more, config_.position.get<RopeConfig>().scaling.kind);
  }
}

Var Transformer::states(const Forward& f, Recompute recompute) const {
  require(encoder_ == nullptr || f.memory != nullptr, ErrorKind::kData, "model",
          "there is no text for the encoder, to which the decoder of this model attends");
  require(encoder_ != nullptr || f.memory == nullptr, ErrorKind::kData, "model",
          "an encoder's output was given, but body \"{}\" does not attend to one", config_.body);
  check_context(*f.rows);
  return run(*stack_, f, recompute);
}

Var Transformer::hidden(const Forward& f, Recompute recompute) const {
  Var x = states(f, recompute);
  if (head_transform_) x = head_transform_->forward(f, x);
  if (pooler_) x = ops::activation(kernels::find_activation("tanh"), pooler_->forward(f, x));
  return score_ ? x : ops::scale(x, config_.head_scale());
}

Var Transformer::mtp_hidden(const Forward& base, int64_t depth, const Var& hidden,
                            const Tensor& ids_ahead) const {
  const Rows rows = base.rows->with_positions();
  const Forward f{base.pass, &rows, base.rng.fork("ahead").fork(static_cast<uint64_t>(depth))};
  const MtpModule& module = *mtp_.at(static_cast<size_t>(depth - 1));
  const Var ahead = embed(f, ids_ahead);
  const auto positions = stack_->position().begin(f, ahead.value);
  return ops::scale(module.forward(f, *positions, hidden, ahead), config_.head_scale());
}

void Transformer::require_head() const {
  require(
      config_.lm_head, ErrorKind::kConfig, "model",
      "this model has no output head: it gives hidden states, from which embeddings are made, and predicts no "
      "tokens; give the folder of a language model (architectures: \"...ForCausalLM\", \"...ForMaskedLM\")");
  require(
      score_ == nullptr, ErrorKind::kConfig, "model",
      "this model gives scores ({} of each text) instead of predicting tokens; it can be a reward "
      "model or a critic (objective.name = \"reward\", objective.critic), for anything else give "
      "the folder of a language model",
      config_.num_labels);
}

ops::OutputHead Transformer::head(const Pass& pass) const {
  require_head();
  const Parameter& weight = head_ ? head_->weight : embedding_.weight;
  ops::OutputHead head(whole_weight(pass, weight, activation_type(weight)));
  if (const auto& bias = head_ ? head_->bias : head_bias_) head.bias = pass.use(*bias);
  head.softcap = config_.final_logit_softcapping;
  return head;
}

Var Transformer::scores(const Pass& pass, const Var& hidden) const {
  require(
      score_ != nullptr, ErrorKind::kConfig, "model",
      "this model predicts tokens and has no scores; give a folder of a sequence classifier with "
      "one label (architectures: \"...ForSequenceClassification\"), or of a token classifier with two where "
      "steps are judged (\"...ForTokenClassification\")");
  return wide_product(pass, score_->weight, hidden, score_->bias);
}

Var Transformer::logits(const Pass& pass, const Var& hidden) const {
  require_head();
  const Parameter& weight = head_ ? head_->weight : embedding_.weight;
  const Var y = wide_product(pass, weight, hidden, head_ ? head_->bias : head_bias_);
  return ops::soft_cap(y, config_.final_logit_softcapping);
}

std::vector<Parameter*> Transformer::parameters() {
  std::vector<Parameter*> all;
  for_each_parameter(*this, [&](const std::string&, Parameter& p) { all.push_back(&p); });
  return all;
}

// visit() is one list for readers and writers of parameters; this one only reads.
std::vector<const Parameter*> Transformer::parameters() const {
  const auto all = const_cast<Transformer*>(this)->parameters();
  return {all.begin(), all.end()};
}

int64_t Transformer::parameter_count() const {
  int64_t count = 0;
  for (const Parameter* p : parameters()) count += p->shape.numel();
  return count;
}

void Transformer::visit(ModuleVisitor& v) {
  v.child("embedding", embedding_);
  if (token_types_) v.child("token_types", *token_types_);
  if (encoder_) v.child("encoder", *encoder_);
  stack_->visit(v);
  int64_t layer = config_.num_hidden_layers;
  for (auto& module : mtp_) {
    v.child(fmt::format("layers.{}", layer), module->block());
    v.child(fmt::format("further.{}", layer++), *module);
  }
  if (head_transform_) v.child("head_transform", *head_transform_);
  if (head_) v.child("head", *head_);
  if (head_bias_) v.parameter("head_bias", *head_bias_);
  if (pooler_) v.child("pooler", *pooler_);
  if (score_) v.child("score", *score_);
}

}  // namespace lathe
