// Multi-head latent attention (MLA, DeepSeek-V2). Keys and values of all heads come from one narrow
// vector c per token; a few channels that carry the rotary position are shared by all heads:
//
//   [c, r] = x·W_a        k_h = [norm(c)·W_k,h , rope(r)]        v_h = norm(c)·W_v,h
//   q_h = [q_nope,h , rope(q_rope,h)] of x·W_q, or through a narrow vector of its own
//
// While training keys and values are made. With a cache only norm(c) and rope(r) are kept, and the
// products are taken in the other order (the paper's absorption): q_nope·W_kᵀ meets c itself, and
// W_v multiplies the weighted sum of c, which is attention with one key/value head.

#include "lathe/nn/attention/latent.h"

#include <array>

#include "lathe/nn/attention/attention.h"
#include "lathe/nn/linear.h"
#include "lathe/nn/product.h"
#include "lathe/ops/attention.h"
#include "lathe/ops/channels.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

class LatentAttention : public Attention {
 public:
  LatentAttention(const AttentionShape& o, const LatentConfig& c)
      : options_(o),
        latent_(c),
        nope_(c.qk_nope_head_dim),
        rope_(c.qk_rope_head_dim),
        key_value_down_(o.hidden_size, c.kv_lora_rank + rope_, o.bias, o.init_std),
        key_value_up_(c.kv_lora_rank, o.heads * (nope_ + c.v_head_dim), false, o.init_std),
        output_(o.heads * c.v_head_dim, o.hidden_size, o.output_bias, o.output_init_std),
        sinks_(make_sinks(o)) {
    const int64_t queries = o.heads * (nope_ + rope_);
    key_value_norm_ = o.make_norm({.width = c.kv_lora_rank, .eps = o.norm_eps});
    if (c.q_lora_rank) {
      query_down_.emplace(o.hidden_size, *c.q_lora_rank, o.bias, o.init_std);
      query_norm_ = o.make_norm({.width = *c.q_lora_rank, .eps = o.norm_eps});
    }
    query_.emplace(c.q_lora_rank.value_or(o.hidden_size), queries, false, o.init_std);
  }
  static AttentionTraits traits(const AttentionShape& o, const LatentConfig& c) {
    const int64_t key = c.qk_nope_head_dim + c.qk_rope_head_dim;
    const int64_t narrow = 2 * (c.kv_lora_rank + c.q_lora_rank.value_or(0)) + c.qk_rope_head_dim;
    return {.key_width = key,
            .value_width = c.v_head_dim,
            .rotary_width = c.qk_rope_head_dim,
            .rotary_apart = true,
            .keeps_heads = false,
            .cached = c.kv_lora_rank + c.qk_rope_head_dim,
            .kept = narrow + o.heads * (4 * key + 3 * c.v_head_dim)};
  }

  Var forward(const Forward& f, const PassPositions& positions, const Var& x) const override {
    const auto q = ops::split_channels(ops::split_heads(queries(f, x), options_.heads),
                                       std::array{nope_, rope_});
    const auto kv =
        ops::split_channels(key_value_down_.forward(f, x), std::array{latent_.kv_lora_rank, rope_});
    const Var latent = key_value_norm_->forward(f, ops::contiguous(kv[0]));
    const AttentionSite site = site_of(options_);
    const Var for_sinks = positions.query_for_sinks(f, site, q[1]);
    const auto [q_rope, k_rope] =
        positions.apply_to_heads(f, site, q[1], ops::split_heads(kv[1], 1));
    const Pieces pieces{q[0], q_rope, for_sinks, latent, k_rope};
    const Var heads =
        f.pass->cache != nullptr ? absorbed(f, positions, pieces) : expanded(f, positions, pieces);
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
  Var queries(const Forward& f, const Var& x) const {
    if (!query_down_) return query_->forward(f, x);
    return query_->forward(f, query_norm_->forward(f, query_down_->forward(f, x)));
  }

  struct Pieces {
    Var q_nope, q_rope, q_rope_for_sinks, latent, k_rope;
  };
  static Queries join(const Var& nope, const Pieces& p) {
    Queries q{ops::join_channels(nope, p.q_rope)};
    if (p.q_rope_for_sinks.value.defined())
      q.of_sinks = ops::join_channels(nope, p.q_rope_for_sinks);
    return q;
  }

  Var expanded(const Forward& f, const PassPositions& positions, const Pieces& p) const {
    const auto kv =
        ops::split_channels(ops::split_heads(key_value_up_.forward(f, p.latent), options_.heads),
                            std::array{nope_, latent_.v_head_dim});
    return attend(f, options_, positions, join(p.q_nope, p),
                  ops::KeyValues::packed(ops::join_channels(kv[0], p.k_rope),
                                         ops::contiguous(kv[1]), f.rows->sequences),
                  sinks_);
  }

  Var absorbed(const Forward& f, const PassPositions& positions, const Pieces& p) const {
    const int64_t rank = latent_.kv_lora_rank, value = latent_.v_head_dim;
    const auto ups =
        whole_weights(*f.pass, key_value_up_.weight, p.latent.value.dtype(), p.latent.shape()[0]);
    const Queries q = join(multiply_heads(p.q_nope.value, ups,
                                          [&](const Tensor& up) { return up.narrow(1, 0, nope_); }),
                           p);
    const Var k = ops::join_channels(ops::split_heads(p.latent, 1), p.k_rope);
    ops::KeyValues kv = keys_and_values(f, options_, k, Var());
    kv.v = Var(kv.k.value.narrow(2, 0, rank));
    const Var sum = attend(f, options_, positions, q, kv, sinks_);
    return multiply_heads(sum.value, ups, [&](const Tensor& up) {
      return up.narrow(1, nope_, value).transpose(1, 2);
    });
  }

  // ops::multiply_heads() of each row with its part of the matrix [H, nope + value, rank] of all
  // heads.
  template <class F>
  Var multiply_heads(const Tensor& x, const std::vector<WeightOfRows>& ups, F&& part) const {
    const auto product = [&](const WeightOfRows& up) {
      return ops::multiply_heads(
          x.narrow(0, up.first, up.rows),
          part(up.weight.value.reshape(
              {options_.heads, nope_ + latent_.v_head_dim, latent_.kv_lora_rank})));
    };
    if (ups.size() == 1) return Var(product(ups[0]));
    Tensor all;
    for (const WeightOfRows& up : ups) {
      const Tensor some = product(up);
      if (!all.defined()) all = Tensor(some.shape().with(0, x.size(0)), x.dtype(), x.device());
      all.narrow(0, up.first, up.rows).copy_from(some);
    }
    return Var(all);
  }

  AttentionShape options_;
  LatentConfig latent_;
  int64_t nope_, rope_;
  std::optional<Linear> query_down_, query_;
  Linear key_value_down_, key_value_up_, output_;
  std::optional<Parameter> sinks_;
  std::unique_ptr<Norm> query_norm_, key_value_norm_;
};

}  // namespace

void LatentConfig::visit(Visitor& v) {
  v.field("kv_lora_rank", kv_lora_rank,
          "latent: width of the vector from which the keys and values of all heads are computed",
          at_least(0));
  v.field("q_lora_rank", q_lora_rank,
          "latent: the same for queries; default: queries are computed directly from the input",
          at_least(1));
  v.field("qk_nope_head_dim", qk_nope_head_dim, "latent: channels per head without position",
          at_least(0));
  v.field("qk_rope_head_dim", qk_rope_head_dim,
          "latent: channels per head with position; all heads share their key", at_least(0));
  v.field("v_head_dim", v_head_dim, "latent: width of each head's values", at_least(0));
}

void LatentConfig::check(const AttentionShape& o, const KeyErrors& keys) const {
  constexpr int64_t kWidest = 1 << 16;
  for (const auto& [key, value] : {std::pair{"kv_lora_rank", kv_lora_rank},
                                   {"qk_nope_head_dim", qk_nope_head_dim},
                                   {"qk_rope_head_dim", qk_rope_head_dim},
                                   {"v_head_dim", v_head_dim}})
    if (value < 1 || value > kWidest)
      keys.refuse(key, fmt::format("{}, but attention.kind = \"latent\" needs it; write 1 to {}, "
                                   "e.g. 64",
                                   value, kWidest));
  if (o.qk_norm != QkNorm::kNone)
    keys.refuse("qk_norm",
                "latent attention normalises its low-rank vectors instead; use \"none\"");
}

AttentionComponent latent_attention() {
  return attention_component<LatentAttention, LatentConfig>(
      {.name = "latent",
       .summary = "keys and values of all heads are computed from one low-rank vector per token, "
                  "which is all that the cache keeps (MLA)",
       .source = "DeepSeek-AI 2024, arXiv:2405.04434",
       .examples = {{"", R"({"kv_lora_rank": 6, "qk_nope_head_dim": 3, "qk_rope_head_dim": 2,
                            "v_head_dim": 5})"}}});
}

}  // namespace lathe
