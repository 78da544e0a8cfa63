// Activations. What the tape keeps of one block for each token, in elements of the compute dtype:
//
//   4·C            the inputs and the outputs of the two norms (the outputs feed the matrices)
//   (H + 2K)·D     queries, keys and values of the fused projection
//   (H + K)·D      rotated queries and keys, when positions are rotary
//   H·D            the attention's output
//   2F + F         gate and up, and their product (gated); F + F without a gate
//
// selective recompute makes norm outputs and feed-forward products again, so 2·C and F fall away;
// full recompute keeps C, and one whole block while that block's backward runs. Beside the blocks:
// the final norm's input, output and gradient (3·C), the f32 gradient of the head [V,C], and one
// chunk of logits with its gradient.

#include "lathe/model/summary.h"

#include <algorithm>

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

// Tables that are only looked up: trained positions, and the embedding when the head is a matrix of
// its own.
bool only_looked_up(const Parameter& p, const ModelConfig& c) {
  if (!p.is_table) return false;
  return p.name == "position.weight" || (p.name == "embedding.weight" && !c.tie_word_embeddings);
}

int64_t block_elements(const ModelConfig& c, bool keep_cheap) {
  const int64_t width = c.hidden_size, heads = c.num_attention_heads, kv = c.kv_heads(),
                d = c.head_width();
  const int64_t f = c.ffn_width();
  int64_t elements = (keep_cheap ? 4 : 2) * width;
  elements += (heads + 2 * kv) * d + heads * d;
  if (c.position.kind == "rope") elements += (heads + kv) * d;
  return elements + (c.gated() ? 2 : 1) * f + (keep_cheap ? f : 0);
}

int64_t activation_bytes(const ModelConfig& c, const CostOptions& o) {
  constexpr int64_t kLogitElements =
      4 << 20;  // ops/cross_entropy.cc works through chunks of this size
  const int64_t tokens = o.batch_size * o.seq_len, e = static_cast<int64_t>(size_of(o.compute));
  const int64_t statistics =
      4 * (2 + c.num_attention_heads);  // f32: of the norms, and one per query of attention
  const int64_t block = block_elements(c, o.recompute != Recompute::kSelective) * e + statistics;
  const int64_t blocks = o.recompute == Recompute::kFull
                             ? c.num_hidden_layers * c.hidden_size * e + block
                             : c.num_hidden_layers * block;
  const int64_t logits = std::min(kLogitElements, tokens * c.vocab_size) * (4 + (e < 4 ? e : 0));
  return tokens * (blocks + 3 * c.hidden_size * e) + 4 * c.vocab_size * c.hidden_size + logits;
}

}  // namespace

std::vector<ModuleSummary> summarize_modules(Transformer& model) {
  SummaryWalk walk;
  walk.child("model", model);
  return std::move(walk.modules);
}

ModelCost model_cost(Transformer& model, const CostOptions& o) {
  const ModelConfig& c = model.config();
  ModelCost cost;
  int64_t matrices = 0;  // parameters that also exist in the compute dtype
  for (const Parameter* p : model.parameters()) {
    const int64_t n = p->shape.numel();
    cost.parameters += n;
    if (!only_looked_up(*p, c)) cost.multiplied += n;
    if (p->shape.rank() >= 2) matrices += n;
  }
  const int64_t e = static_cast<int64_t>(size_of(o.compute));
  const auto attention =
      static_cast<double>(c.num_hidden_layers * c.num_attention_heads * c.head_width()) *
      static_cast<double>(o.seq_len);
  cost.forward_flops = 2.0 * static_cast<double>(cost.multiplied) + 2.0 * attention;
  cost.training_flops = 3.0 * cost.forward_flops;
  cost.weight_bytes = 4 * cost.parameters + (e < 4 ? e * matrices : 0);
  cost.gradient_bytes = 4 * cost.parameters;
  cost.optimizer_bytes = o.optimizer_bytes.value_or(8 * cost.parameters);
  cost.activation_bytes = activation_bytes(c, o);
  cost.cache_bytes_per_token = 2 * c.num_hidden_layers * c.kv_heads() * c.head_width() * e;
  return cost;
}

}  // namespace lathe
