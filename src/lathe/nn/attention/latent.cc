// Multi-head latent attention (MLA, DeepSeek-V2). Keys and values of all heads come from one narrow
// vector c per token; a few channels that carry the rotary position are shared by all heads:
//
//   [c, r] = x·W_a        k_h = [norm(c)·W_k,h , rope(r)]        v_h = norm(c)·W_v,h
//   q_h = [q_nope,h , rope(q_rope,h)] of x·W_q, or through a narrow vector of its own
//
// While training keys and values are made. With a cache only norm(c) and rope(r) are kept, and the
// products are taken in the other order (the paper's absorption): q_nope·W_kᵀ meets c itself, and
// W_v multiplies the weighted sum of c, which is attention with one key/value head.

#include <array>

#include "lathe/nn/attention/attention.h"
#include "lathe/nn/linear.h"
#include "lathe/ops/attention.h"
#include "lathe/ops/channels.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

class LatentAttention : public Attention {
 public:
  explicit LatentAttention(const AttentionOptions& o)
      : options_(o),
        nope_(o.latent.nope_width),
        rope_(o.latent.rope_width),
        key_value_down_(o.hidden_size, o.latent.kv_rank + rope_, o.bias, o.init_std),
        key_value_up_(o.latent.kv_rank, o.heads * (nope_ + o.latent.value_width), false,
                      o.init_std),
        output_(o.heads * o.latent.value_width, o.hidden_size, o.output_bias, o.output_init_std),
        sinks_(make_sinks(o)) {
    const int64_t queries = o.heads * (nope_ + rope_), rank = o.latent.query_rank;
    key_value_norm_ = o.make_norm({.width = o.latent.kv_rank, .eps = o.norm_eps});
    if (rank > 0) {
      query_down_.emplace(o.hidden_size, rank, o.bias, o.init_std);
      query_norm_ = o.make_norm({.width = rank, .eps = o.norm_eps});
    }
    query_.emplace(rank > 0 ? rank : o.hidden_size, queries, false, o.init_std);
  }

  Var forward(const Forward& f, Position& position, const Var& x) override {
    const auto q = ops::split_channels(ops::split_heads(queries(f, x), options_.heads),
                                       std::array{nope_, rope_});
    const auto kv = ops::split_channels(key_value_down_.forward(f, x),
                                        std::array{options_.latent.kv_rank, rope_});
    const Var latent = key_value_norm_->forward(f, ops::contiguous(kv[0]));
    const auto [q_rope, k_rope] =
        position.apply_to_heads(f, site_of(options_), q[1], ops::split_heads(kv[1], 1));
    const Var heads = f.cache != nullptr ? absorbed(f, position, {q[0], q_rope, latent, k_rope})
                                         : expanded(f, position, {q[0], q_rope, latent, k_rope});
    return output_.forward(f, ops::merge_heads(heads));
  }

  std::string_view kind() const override { return "LatentAttention"; }
  void visit(ModuleVisitor& v) override {
    if (query_down_) v.child("query_down", *query_down_);
    if (query_norm_) v.child("query_norm", *query_norm_);
    v.child(query_down_ ? "query_up" : "query", *query_);
    v.child("key_value_down", key_value_down_);
    v.child("key_value_norm", *key_value_norm_);
    v.child("key_value_up", key_value_up_);
    if (sinks_) v.parameter("sinks", *sinks_);
    v.child("output", output_);
  }

 private:
  Var queries(const Forward& f, const Var& x) {
    if (!query_down_) return query_->forward(f, x);
    return query_->forward(f, query_norm_->forward(f, query_down_->forward(f, x)));
  }

  struct Pieces {
    Var q_nope, q_rope, latent, k_rope;
  };

  Var expanded(const Forward& f, Position& position, const Pieces& p) {
    const auto kv =
        ops::split_channels(ops::split_heads(key_value_up_.forward(f, p.latent), options_.heads),
                            std::array{nope_, options_.latent.value_width});
    return attend(f, options_, position,
                  {ops::join_channels(p.q_nope, p.q_rope), ops::join_channels(kv[0], p.k_rope),
                   ops::contiguous(kv[1])},
                  sinks_);
  }

  Var absorbed(const Forward& f, Position& position, const Pieces& p) {
    const int64_t rank = options_.latent.kv_rank, value = options_.latent.value_width;
    // [H, nope + value, rank]
    const Tensor up = key_value_up_.weight.compute.reshape({options_.heads, nope_ + value, rank});
    const Var q =
        ops::join_channels(ops::multiply_heads(p.q_nope.value, up.narrow(1, 0, nope_)), p.q_rope);
    const Var k = ops::join_channels(ops::split_heads(p.latent, 1), p.k_rope);
    const Tensor keys = f.cache->append(options_.layer, k.value, Tensor()).first;
    const Var sum =
        attend(f, options_, position, {q, Var(keys), Var(keys.narrow(3, 0, rank))}, sinks_);
    return ops::multiply_heads(sum.value, up.narrow(1, nope_, value).transpose(1, 2));
  }

  AttentionOptions options_;
  int64_t nope_, rope_;
  std::optional<Linear> query_down_, query_;
  Linear key_value_down_, key_value_up_, output_;
  std::optional<Parameter> sinks_;
  std::unique_ptr<Norm> query_norm_, key_value_norm_;
};

}  // namespace

std::unique_ptr<Attention> make_latent_attention(const AttentionOptions& options) {
  return std::make_unique<LatentAttention>(options);
}

}  // namespace lathe
