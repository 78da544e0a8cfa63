// Activations. What the tape keeps of one block for each token, in elements of the compute dtype:
//
//   4·C            the inputs and the outputs of the two norms (the outputs feed the matrices)
//   (H + 2K)·D     queries, keys and values of the fused projection
//   (H + K)·D      rotated queries and keys, when positions are rotary
//   H·D            the attention's output
//   2F + F         gate and up, and their product (gated); F + F without a gate, 2F + F with a
//                  convolution
//
// Latent attention keeps its narrow vectors, H·(Dk + Dv) of keys and values as they are made and as
// they are joined, and twice H·Dk of queries. A layer of experts keeps k·(C + 3F) of the routed
// tokens and 3F of the shared expert, F their widths.
//
// selective recompute makes norm outputs and feed-forward products again, so 2·C and F fall away;
// full recompute keeps C, and one whole block while that block's backward runs. Beside the blocks:
// the final norm's input, output and gradient (3·C), the f32 gradient of the head [V,C], and one
// chunk of logits with its gradient.

#include "lathe/model/summary.h"

#include <algorithm>
#include <map>

#include "lathe/kernels/attention/flops.h"
#include "lathe/kernels/attention/visibility.h"
#include "lathe/model/components.h"
#include "lathe/model/layer_masks.h"
#include "lathe/nn/moe/moe.h"

namespace lathe {
namespace {

class SummaryWalk : public ModuleVisitor {
 public:
  std::vector<ModuleSummary> modules;

  void enter(std::string_view name, std::string_view kind) override {
    open_.push_back(modules.size());
    ModuleSummary m;
    m.name = name;
    m.kind = kind;
    m.depth = static_cast<int>(open_.size()) - 1;
    modules.push_back(std::move(m));
  }
  void leave() override { open_.pop_back(); }
  void parameter(std::string_view name, Parameter& p) override {
    modules[open_.back()].own.emplace_back(std::string(name), p.shape);
    for (const size_t i : open_) modules[i].parameters += p.shape.numel();
  }

 private:
  std::vector<size_t> open_;
};

// Tables that are only looked up: of positions, and the embedding when the head is a matrix of its
// own.
bool only_looked_up(const Parameter& p, const ModelConfig& c) {
  if (!p.is_table) return false;
  return p.name.starts_with("position.") || p.name.starts_with("encoder.position.") ||
         p.name == "token_types.weight" ||
         (p.name == "embedding.weight" && (!c.tie_word_embeddings || c.num_labels > 0));
}

// How much of the `n` elements or bytes of a parameter one token is multiplied with: of routed experts
// those it chooses.
int64_t active(const Parameter& p, const ModelConfig& c, int64_t n) {
  if (only_looked_up(p, c)) return 0;
  const bool routed = p.name.find(".ffn.experts.") != std::string::npos;
  return routed ? n / c.moe.num_experts * c.moe.choices() : n;
}

int64_t attention_elements(const ModelConfig& c) {
  const AttentionTraits attention = attention_of(c).traits();
  return attention.kept +
         (position_of(c, main_stack(c)).traits().rotates ? attention.kept_rotated : 0);
}

int64_t ffn_elements(const ModelConfig& c, int64_t layer, bool keep_cheap) {
  const auto of_width = [&](int64_t f, const FeedForwardTraits& kind) {
    return kind.kept * f + (keep_cheap ? f : 0);
  };
  if (!c.moe.in_layer(layer)) return of_width(c.ffn_width(), ffn_traits(c));
  const FeedForwardTraits expert = expert_traits(c.moe);
  const int64_t f = c.moe.moe_intermediate_size.value_or(c.ffn_width());
  return c.moe.choices() * (c.hidden_size + of_width(f, expert)) +
         of_width(c.moe.shared_width(f), expert);
}

int64_t block_elements(const ModelConfig& c, int64_t layer, bool keep_cheap) {
  return (keep_cheap ? 4 : 2) * c.hidden_size + attention_elements(c) +
         ffn_elements(c, layer, keep_cheap);
}

// Keys that a query of a block-sparse layer sees on average. Counted by the rule of the kernels,
// for every query of a short sequence and for evenly spread ones of a long sequence.
double visible_keys_of_pattern(const kernels::AttentionSpec& mask, int64_t seq_len) {
  constexpr int64_t kMostQueries = 4096;
  const kernels::Visibility visibility(mask, {.queries = seq_len, .keys = seq_len});
  const int64_t queries = std::min(seq_len, kMostQueries);
  int64_t seen = 0;
  for (int64_t i = 0; i < queries; ++i)
    visibility.for_each_run((2 * i + 1) * seq_len / (2 * queries), {0, seq_len},
                            [&](Range run) { seen += run.size(); });
  return static_cast<double>(seen) / static_cast<double>(std::max<int64_t>(1, queries));
}

double visible_keys_of_layer(const kernels::AttentionSpec& mask, int64_t seq_len) {
  if (mask.pattern.kind != kernels::BlockPattern::Kind::kNone)
    return visible_keys_of_pattern(mask, seq_len);
  const auto all = static_cast<double>(seq_len);
  const double window =
      mask.window > 0 ? std::min(static_cast<double>(mask.window + mask.sink_tokens), all) : all;
  return window - window * window / (2.0 * all);  // the first `window` queries see fewer
}

// Keys that a query of the stack sees, summed over the layers, of T on average.
double visible_keys(const ModelConfig& c, const StackSpec& stack, int64_t seq_len) {
  std::map<std::string, double> of_type;
  double sum = 0;
  for (int64_t layer = 0; layer < stack.layers; ++layer) {
    const auto [known, fresh] = of_type.try_emplace(c.layer_type(layer));
    if (fresh) known->second = visible_keys_of_layer(mask_of(c, layer), seq_len);
    sum += stack.causal ? known->second : 2.0 * known->second;
  }
  return sum;
}

// FLOPs of the forward pass of one token of the main stack, and its share of the encoder's.
double forward_flops(const ModelConfig& c, int64_t multiplied, int64_t of_encoder,
                     const CostOptions& o) {
  const AttentionTraits attention = attention_of(c).traits();
  const double a_key = static_cast<double>(c.num_attention_heads) *
                       kernels::attention_flops(attention.key_width, attention.value_width).forward;
  double flops = 2.0 * static_cast<double>(multiplied - of_encoder) +
                 a_key * visible_keys(c, main_stack(c), o.seq_len);
  if (!c.body_traits().encoder) return flops;
  const int64_t text = o.text_len > 0 ? o.text_len : o.seq_len;
  const double share = static_cast<double>(text) / static_cast<double>(o.seq_len);
  flops += a_key * static_cast<double>(c.num_hidden_layers * text);  // cross-attention
  return flops + share * (2.0 * static_cast<double>(of_encoder) +
                          a_key * visible_keys(c, encoder_stack(c), text));
}

int64_t activation_bytes(const ModelConfig& c, const CostOptions& o) {
  constexpr int64_t kLogitElements = 4
                                     << 20;  // ops/output_head.cc works through chunks of this size
  const int64_t tokens = o.batch_size * o.seq_len, e = static_cast<int64_t>(size_of(o.compute));
  const int64_t statistics =
      4 * (2 + c.num_attention_heads);  // f32: of the norms, and one per query of attention
  int64_t largest = 0, all = 0;
  for (int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    const int64_t block =
        block_elements(c, layer, o.recompute != Recompute::kSelective) * e + statistics;
    largest = std::max(largest, block);
    all += block;
  }
  int64_t blocks =
      o.recompute == Recompute::kFull ? c.num_hidden_layers * c.hidden_size * e + largest : all;
  // A block of an encoder keeps what a decoder's does, and a cross-attention about as much again as
  // the attention beside it.
  if (c.body_traits().encoder && o.recompute != Recompute::kFull)
    blocks += (c.encoder_layers() * largest * (o.text_len > 0 ? o.text_len : o.seq_len)) /
                  std::max<int64_t>(1, o.seq_len) +
              c.num_hidden_layers * attention_elements(c) * e;
  const int64_t logits = std::min(kLogitElements, tokens * c.vocab_size) * (4 + (e < 4 ? e : 0));
  return tokens * (blocks + 3 * c.hidden_size * e) + 4 * c.vocab_size * c.hidden_size + logits;
}

}  // namespace

std::vector<ModuleSummary> summarize_modules(Transformer& model) {
  SummaryWalk walk;
  walk.child("model", model);
  return std::move(walk.modules);
}

ModelCost model_cost(const Transformer& model, const CostOptions& o) {
  const ModelConfig& c = model.config();
  ModelCost cost;
  int64_t of_encoder = 0;
  int64_t matrices = 0;  // parameters that also exist in the compute dtype
  for (const Parameter* p : model.parameters()) {
    const int64_t n = p->shape.numel();
    cost.parameters += n;
    cost.multiplied += active(*p, c, p->shape.numel());
    if (p->name.starts_with("encoder.")) of_encoder += active(*p, c, p->shape.numel());
    if (p->shape.rank() >= 2) matrices += n;
  }
  const int64_t e = static_cast<int64_t>(size_of(o.compute));
  cost.forward_flops = forward_flops(c, cost.multiplied, of_encoder, o);
  cost.training_flops = 3.0 * cost.forward_flops;
  cost.weight_bytes = 4 * cost.parameters + (e < 4 ? e * matrices : 0);
  cost.gradient_bytes = 4 * cost.parameters;
  cost.optimizer_bytes = o.optimizer_bytes;
  cost.activation_bytes = activation_bytes(c, o);
  cost.cache_bytes_per_token = c.num_hidden_layers * attention_of(c).traits().cached * e;
  return cost;
}

int64_t weight_bytes_per_token(const Transformer& model) {
  int64_t bytes = 0;
  for (const Parameter* p : model.parameters())
    bytes += active(*p, model.config(), static_cast<int64_t>(p->value.bytes()));
  return bytes;
}

}  // namespace lathe
