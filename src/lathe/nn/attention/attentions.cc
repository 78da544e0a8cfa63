#include "lathe/base/catalogue.h"
#include "lathe/nn/adapters.h"
#include "lathe/nn/attention/attention.h"
#include "lathe/nn/attention/attention_config.h"
#include "lathe/nn/attention/cache.h"
#include "lathe/ops/moe_routing.h"
#include "lathe/ops/rearrange.h"

namespace lathe {

// One per file in attention/.
AttentionComponent grouped_attention();
AttentionComponent latent_attention();

std::span<const AttentionComponent> attentions() {
  static const AttentionComponent kAttentions[] = {grouped_attention(), latent_attention()};
  return kAttentions;
}

AttentionConfig::AttentionConfig() : ComponentChoice("grouped", attentions()) {}

void AttentionConfig::visit(Visitor& v) {
  v.choice("kind", kind, names_of(attentions()), "attention layer");
  v.field("output_bias", output_bias, "a bias in the output projection; default attention_bias");
  v.field("scale", scale, "multiplies q·k; default 1/sqrt(head_dim)", above(0));
  v.choice(
      "qk_norm", qk_norm, {"none", "head", "full"},
      "normalise queries and keys: each head on its own (Qwen3), or all heads together (OLMo 2)");
  v.field("norm_eps", norm_eps, "eps of the norms inside the layer; default norm.eps", above(0));
  v.field("sparse_block", sparse_block,
          "strided_attention, fixed_attention: positions per block; a block is visible as a whole",
          at_least(1));
  v.field("sparse_stride", sparse_stride,
          "strided: one in this many blocks before a query's own is visible; fixed: blocks per "
          "group, and a query attends to those of its own group",
          at_least(1));
  v.field("sparse_local", sparse_local,
          "strided: number of most recent blocks that are visible, the query's own included; "
          "default sparse_stride",
          at_least(1));
  v.field("sparse_summary", sparse_summary,
          "fixed: number of last blocks of every earlier group that are visible", at_least(1));
  v.field("sink_tokens", sink_tokens,
          "number of first tokens of a text that are always visible in sliding and sparse layers "
          "(StreamingLLM)",
          at_least(0));
  v.field("sink_logits", sink_logits,
          "add a learned logit per head to the softmax's denominator, so that a head can attend to "
          "nothing (gpt-oss)");
  components.visit(v);
}

AttentionSite site_of(const AttentionShape& options) {
  return {.layer = options.layer, .local = options.window > 0, .scale = options.scale};
}

std::optional<Parameter> make_sinks(const AttentionShape& options) {
  if (!options.sink_logits) return std::nullopt;
  Parameter sinks({options.heads}, {Initializer::Kind::kZeros, 0});
  sinks.full_precision = true;  // beside scores, which are f32
  return sinks;
}

namespace {

// A window alone limits what is read; tokens that are seen from everywhere do not leave.
CacheLayer place_of(const Forward& f, const AttentionShape& options) {
  CacheLayer place{.kind = CacheLayer::Kind::kSelf, .index = options.layer};
  if (f.pass->streaming) {
    place.reach = f.pass->streaming->window - 1;
    place.sinks = f.pass->streaming->sinks;
    return place;
  }
  const bool limited = options.window > 0 && options.sink_tokens == 0 &&
                       !f.rows->prefix.defined() &&
                       options.pattern.kind == kernels::BlockPattern::Kind::kNone;
  if (limited) place.reach = options.window - 1;
  return place;
}

}  // namespace

ops::KeyValues keys_and_values(const Forward& f, const AttentionShape& options, const Var& k,
                               const Var& v) {
  if (f.pass->cache == nullptr) {
    const Adapters* adapters = f.pass->adapters;
    const auto prefix =
        adapters != nullptr ? adapters->prefix_of_layer(*f.pass, options.layer) : std::nullopt;
    if (!prefix) return ops::KeyValues::packed(k, v, f.rows->sequences);
    const Sequences& own = f.rows->sequences;
    const auto before = [&](const Var& x, const Var& each) {
      return ops::insert_before_each(x, own, ops::cast(each, x.value.dtype()));
    };
    return ops::KeyValues::packed(before(k, prefix->k), before(v, prefix->v), f.rows->keys());
  }
  const CacheLayer place = place_of(f, options);
  f.pass->cache->write(place, *f.rows, k.value, v.value);
  return f.pass->cache->view(place, *f.rows);
}

Var attend_with(const Forward& f, const AttentionShape& options, const Var& q,
                const ops::KeyValues& kv, const ops::AttentionInputs& inputs) {
  kernels::AttentionSpec spec;
  spec.scale = static_cast<float>(options.scale);
  spec.softcap = static_cast<float>(options.softcap);
  spec.causal = options.causal;
  spec.window = options.window;
  spec.sink_tokens = options.sink_tokens;
  spec.pattern = options.pattern;
  if (f.training() && options.dropout > 0.0) {
    spec.dropout = static_cast<float>(options.dropout);
    spec.dropout_key = f.rng.fork("attention_weights").key();
  }
  return ops::attention(q, f.rows->sequences, kv, spec, inputs);
}

Var attend(const Forward& f, const AttentionShape& options, const PassPositions& positions,
           const Queries& q, const ops::KeyValues& kv, const std::optional<Parameter>& sinks) {
  ops::AttentionInputs inputs;
  inputs.sink_query = q.of_sinks.value;
  inputs.segments = {f.rows->segments,
                     f.rows->key_segments.defined() ? f.rows->key_segments : f.rows->segments};
  inputs.prefix = f.rows->prefix;
  if (sinks) inputs.sink_logits = f.use_wide(*sinks);
  positions.add_to_scores(f, site_of(options), q.of_all, inputs);
  if (!f.pass->streaming) return attend_with(f, options, q.of_all, kv, inputs);
  AttentionShape streamed = options;
  streamed.window = f.pass->streaming->window;
  streamed.sink_tokens = f.pass->streaming->sinks;
  return attend_with(f, streamed, q.of_all, kv, inputs);
}

}  // namespace lathe
