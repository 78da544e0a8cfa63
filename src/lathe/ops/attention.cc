#include "lathe/ops/attention.h"

#include <fmt/format.h>

#include <utility>

#include "lathe/ops/common.h"

namespace lathe::ops {

std::array<Var, 3> split_heads(const Var& x, const HeadCounts& heads) {
  const int64_t total = heads.query + heads.key + heads.value;
  require(x.value.rank() == 3 && total > 0 && x.shape()[2] % total == 0, ErrorKind::kShape,
          "split_heads", "{} cannot be cut into {} heads", x.shape(), total);
  const int64_t width = x.shape()[2] / total;
  const std::array<int64_t, 3> counts = {heads.query, heads.key, heads.value};
  std::array<Tensor, 3> parts;
  int64_t first = 0;
  for (int i = 0; i < 3; ++i) {
    parts[i] = x.value.narrow(2, first * width, counts[i] * width).split_last(counts[i]);
    first += counts[i];
  }
  Tape* tape = tape_of({&x});
  if (tape == nullptr) return {parts[0], parts[1], parts[2]};
  auto backward = [x = x.ref(), shape = x.shape(), dtype = x.value.dtype(),
                   device = x.value.device(), counts, width](Gradients& g) {
    const Tensor dx(shape, dtype, device);
    std::array<Tensor, 3> targets;
    int64_t start = 0;
    for (int i = 0; i < 3; ++i) {
      targets[i] = dx.narrow(2, start * width, counts[i] * width).split_last(counts[i]);
      start += counts[i];
    }
    join_output_gradients(g, dx, targets);
    g.add(x, dx);
  };
  auto vars = tape->record("split_heads", parts, {&x}, std::move(backward), {});
  return {vars[0], vars[1], vars[2]};
}

Var split_heads(const Var& x, int64_t heads) {
  require(x.value.rank() == 3 && heads > 0 && x.shape()[2] % heads == 0, ErrorKind::kShape,
          "split_heads", "{} cannot be cut into {} heads", x.shape(), heads);
  return record("split_heads", x.value.split_last(heads), {&x},
                [x = x.ref(), shape = x.shape()](Gradients& g) {
                  const Tensor& dy = g.of_output();
                  g.add(x, (dy.contiguous() ? dy : dy.clone()).reshape(shape));
                });
}

Var merge_heads(const Var& x) {
  require(x.value.rank() == 4, ErrorKind::kShape, "merge_heads", "{} is not [B,T,H,D]", x.shape());
  const Shape merged = {x.shape()[0], x.shape()[1], x.shape()[2] * x.shape()[3]};
  return record("merge_heads", x.value.reshape(merged), {&x},
                [x = x.ref(), shape = x.shape()](Gradients& g) {
                  const Tensor& dy = g.of_output();
                  g.add(x, (dy.contiguous() ? dy : dy.clone()).reshape(shape));
                });
}

namespace {

Var rope_into(const Tensor& out, const Var& x, const RopeTables& tables, const Tensor& positions,
              kernels::RopeLayout layout) {
  require(x.value.rank() == 4, ErrorKind::kShape, "rope", "{} is not [B,T,H,D]", x.shape());
  require_shape("rope", "positions", positions, {x.shape()[0], x.shape()[1]});
  require(tables.cos.rank() == 2 && tables.cos.shape() == tables.sin.shape() &&
              2 * tables.cos.size(1) <= x.shape()[3],
          ErrorKind::kShape, "rope", "tables {} do not fit heads of width {}", tables.cos.shape(),
          x.shape()[3]);
  for (int32_t p : positions.span<int32_t>())
    require(p >= 0 && p < tables.cos.size(0), ErrorKind::kData, "rope",
            "position {} is outside the {} prepared; raise max_position_embeddings", p,
            tables.cos.size(0));
  const auto& k = kernels_of(x.value);
  kernels::RopeSpec spec{layout, false};
  k.rope(x.value, tables.cos, tables.sin, positions, out, spec);
  return record("rope", out, {&x}, [x = x.ref(), tables, positions, spec, &k](Gradients& g) {
    const Tensor& dy = g.of_output();
    const Tensor dx = over(dy);
    k.rope(dy, tables.cos, tables.sin, positions, dx, {spec.layout, true});
    g.add(x, dx);
  });
}

}  // namespace

Var rope(const Var& x, const RopeTables& tables, const Tensor& positions,
         kernels::RopeLayout layout) {
  const Tensor out(x.shape(), x.value.dtype(), x.value.device());
  return rope_into(out, x, tables, positions, layout);
}

Var rope_in_place(const Var& x, const RopeTables& tables, const Tensor& positions,
                  kernels::RopeLayout layout) {
  return rope_into(x.value, x, tables, positions, layout);
}

namespace {

constexpr std::string_view kAttention = "attention";

struct AttentionShape {
  int64_t B, T, H, D, S, Dv;
};

AttentionShape require_heads(const Shape& q, const Shape& k, const Shape& v) {
  require(q.rank() == 4 && k.rank() == 4 && v.rank() == 4 && q[0] == k[0] && q[0] == v[0] &&
              k[1] == v[1] && k[2] == v[2] && q[3] == k[3] && k[2] > 0 && q[2] % k[2] == 0,
          ErrorKind::kShape, kAttention,
          "q {}, k {}, v {} do not fit: expected [B,T,H,D], [B,S,K,D], [B,S,K,Dv]", q, k, v);
  return {q[0], q[1], q[2], q[3], k[1], v[3]};
}

void require_mask(const kernels::AttentionSpec& spec, const AttentionShape& z) {
  require(!spec.causal || z.S >= z.T, ErrorKind::kShape, kAttention,
          "{} queries but only {} keys under a causal mask", z.T, z.S);
  const kernels::BlockPattern& p = spec.pattern;
  if (p.kind == kernels::BlockPattern::Kind::kNone) return;
  require(spec.causal, ErrorKind::kConfig, kAttention,
          "a block-sparse pattern needs a causal mask; use a window instead");
  require(p.block > 0 && p.stride > 0 && p.local > 0 && p.summary > 0 && p.summary <= p.stride,
          ErrorKind::kConfig, kAttention,
          "pattern of block {}, stride {}, local {}, summary {}: all must be at least 1, and the "
          "summary at most the stride",
          p.block, p.stride, p.local, p.summary);
}

void require_indices(std::string_view what, const Tensor& t, const Shape& expected) {
  require_dtype(kAttention, what, t, DType::kI32);
  require_shape(kAttention, what, t, expected);
}

void require_table(std::string_view what, const Tensor& t, bool fits, std::string_view expected) {
  require(fits, ErrorKind::kShape, kAttention, "{} has shape {}, expected {}", what, t.shape(),
          expected);
}

void require_shaw(std::string_view what, const Tensor& t, int64_t width) {
  require_table(what, t, t.rank() == 2 && t.size(0) % 2 == 1 && t.size(1) == width,
                fmt::format("[2w+1, {}]", width));
}

void require_inputs(const AttentionInputs& in, const AttentionShape& z, DType wide) {
  const auto& [query, key] = in.segments;
  require(query.defined() == key.defined(), ErrorKind::kShape, kAttention,
          "segments of the {} without those of the {}", query.defined() ? "queries" : "keys",
          query.defined() ? "keys" : "queries");
  if (query.defined()) {
    require_indices("query segments", query, {z.B, z.T});
    require_indices("key segments", key, {z.B, z.S});
  }
  if (in.prefix.defined()) require_indices("prefix", in.prefix, {z.B});
  const Tensor &distance = in.distance_bias.table.value, &sinks = in.sink_logits.value;
  const std::pair<std::string_view, const Tensor*> tables[] = {
      {"distance bias", &distance},
      {"key bias", &in.key_bias},
      {"sink logits", &sinks},
      {"shaw keys", &in.shaw_keys.value},
      {"shaw values", &in.shaw_values.value}};
  for (const auto& [what, t] : tables)
    if (t->defined()) require_dtype(kAttention, what, *t, wide);
  if (distance.defined())
    require_table("distance bias", distance,
                  distance.rank() == 2 && distance.size(0) == z.H && distance.size(1) > 0,
                  fmt::format("[{}, R], R at least 1", z.H));
  if (in.key_bias.defined())
    require_table(
        "key bias", in.key_bias,
        in.key_bias.shape() == Shape{z.H, z.S} || in.key_bias.shape() == Shape{z.B, z.H, z.S},
        fmt::format("[{}, {}] or [{}, {}, {}]", z.H, z.S, z.B, z.H, z.S));
  if (sinks.defined()) require_shape(kAttention, "sink logits", sinks, {z.H});
  if (in.shaw_keys.defined()) require_shaw("shaw keys", in.shaw_keys.value, z.D);
  if (in.shaw_values.defined()) require_shaw("shaw values", in.shaw_values.value, z.Dv);
}

kernels::AttentionSpec with_views(kernels::AttentionSpec spec, const AttentionInputs& in) {
  spec.query_segments = in.segments.query.view();
  spec.key_segments = in.segments.key.view();
  spec.prefix = in.prefix.view();
  spec.distance_bias = in.distance_bias.table.value.view();
  spec.distance_offset = in.distance_bias.offset;
  spec.key_bias = in.key_bias.view();
  spec.sink_logits = in.sink_logits.value.view();
  spec.shaw_keys = in.shaw_keys.value.view();
  spec.shaw_values = in.shaw_values.value.view();
  return spec;
}

Tensor uninitialised_like(const Tensor& t) { return {t.shape(), t.dtype(), t.device()}; }

}  // namespace

Var attention(const Var& q, const Var& k, const Var& v, kernels::AttentionSpec spec,
              const AttentionInputs& inputs) {
  const AttentionShape z = require_heads(q.shape(), k.shape(), v.shape());
  const DType wide = accumulation_type(q.value.dtype());
  require_mask(spec, z);
  require_inputs(inputs, z, wide);
  spec = with_views(std::move(spec), inputs);
  const auto& kernel = kernels_of(q.value);
  Tensor out({z.B, z.T, z.H, z.Dv}, q.value.dtype(), q.value.device());
  const std::initializer_list<const Var*> operands = {&q,
                                                      &k,
                                                      &v,
                                                      &inputs.distance_bias.table,
                                                      &inputs.sink_logits,
                                                      &inputs.shaw_keys,
                                                      &inputs.shaw_values};
  Tensor lse;
  if (tape_of(operands) != nullptr) lse = Tensor({z.B, z.H, z.T}, wide, q.value.device());
  kernel.attention(q.value, k.value, v.value, out, lse.view(), spec);
  auto backward = [q = q, k = k, v = v, out, lse, spec, inputs, &kernel](Gradients& g) {
    Tensor dq = uninitialised_like(q.value), dk = uninitialised_like(k.value),
           dv = uninitialised_like(v.value);
    const Var* tables[] = {&inputs.distance_bias.table, &inputs.sink_logits, &inputs.shaw_keys,
                           &inputs.shaw_values};
    Tensor dtables[4];
    for (int i = 0; i < 4; ++i)
      if (tables[i]->needs_grad()) dtables[i] = uninitialised_like(tables[i]->value);
    kernel.attention_backward(q.value, k.value, v.value, out, lse, g.of_output(), spec,
                              {.dq = dq,
                               .dk = dk,
                               .dv = dv,
                               .distance_bias = dtables[0].view(),
                               .sink_logits = dtables[1].view(),
                               .shaw_keys = dtables[2].view(),
                               .shaw_values = dtables[3].view()});
    g.add(q, dq);
    g.add(k, dk);
    g.add(v, dv);
    for (int i = 0; i < 4; ++i) g.add(*tables[i], dtables[i]);
  };
  return record("attention", out, operands, std::move(backward));
}

}  // namespace lathe::ops
