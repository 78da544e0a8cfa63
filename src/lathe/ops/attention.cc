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

using Tables = kernels::AttentionTables<Var>;

Tables tables_of(const AttentionInputs& in) {
  return {.distance_bias = in.distance_bias.table,
          .key_bias = in.key_bias,  // a constant: it has no gradient
          .sink_logits = in.sink_logits,
          .shaw_keys = in.shaw_keys,
          .shaw_values = in.shaw_values};
}

void require_tables(const Tables& in, const AttentionShape& z, DType wide) {
  const auto check = [&](std::string_view what, const Tensor& t, bool fits,
                         std::string_view expected) {
    require_dtype(kAttention, what, t, wide);
    require(fits, ErrorKind::kShape, kAttention, "{} has shape {}, expected {}", what, t.shape(),
            expected);
  };
  const auto check_shaw = [&](std::string_view what, const Tensor& t, int64_t width) {
    check(what, t, t.rank() == 2 && t.size(0) % 2 == 1 && t.size(1) == width,
          fmt::format("[2w+1, {}]", width));
  };
  if (const Tensor& t = in.distance_bias.value; t.defined())
    check("distance bias", t, t.rank() == 2 && t.size(0) == z.H && t.size(1) > 0,
          fmt::format("[{}, R], R at least 1", z.H));
  if (const Tensor& t = in.key_bias.value; t.defined())
    check("key bias", t, t.shape() == Shape{z.H, z.S} || t.shape() == Shape{z.B, z.H, z.S},
          fmt::format("[{}, {}] or [{}, {}, {}]", z.H, z.S, z.B, z.H, z.S));
  if (const Tensor& t = in.sink_logits.value; t.defined())
    check("sink logits", t, t.shape() == Shape{z.H}, fmt::format("[{}]", z.H));
  if (const Tensor& t = in.shaw_keys.value; t.defined()) check_shaw("shaw keys", t, z.D);
  if (const Tensor& t = in.shaw_values.value; t.defined()) check_shaw("shaw values", t, z.Dv);
}

void require_segments_and_prefix(const AttentionInputs& in, const AttentionShape& z) {
  const auto& [query, key] = in.segments;
  require(query.defined() == key.defined(), ErrorKind::kShape, kAttention,
          "segments of the {} without those of the {}", query.defined() ? "queries" : "keys",
          query.defined() ? "keys" : "queries");
  if (query.defined()) {
    require_indices("query segments", query, {z.B, z.T});
    require_indices("key segments", key, {z.B, z.S});
  }
  if (in.prefix.defined()) require_indices("prefix", in.prefix, {z.B});
}

kernels::AttentionSpec with_views(kernels::AttentionSpec spec, const AttentionInputs& in,
                                  const Tables& tables) {
  spec.query_segments = in.segments.query.view();
  spec.key_segments = in.segments.key.view();
  spec.prefix = in.prefix.view();
  spec.tables = tables.map([](const Var& table) { return table.value.view(); });
  spec.distance_offset = in.distance_bias.offset;
  return spec;
}

Tensor uninitialised_like(const Tensor& t) { return {t.shape(), t.dtype(), t.device()}; }

// After the checks. `spec` has views of what `inputs` owns; `operands` are q, k, v and the tables.
Var checked_attention(const Var& q, const Var& k, const Var& v, const kernels::AttentionSpec& spec,
                      const AttentionInputs& inputs, std::initializer_list<const Var*> operands) {
  const int64_t batch = q.shape()[0], queries = q.shape()[1], heads = q.shape()[2];
  const DType dtype = q.value.dtype();
  const auto& kernel = kernels_of(q.value);
  Tensor out({batch, queries, heads, v.shape()[3]}, dtype, q.value.device()), lse;
  if (tape_of(operands) != nullptr)
    lse = Tensor({batch, heads, queries}, accumulation_type(dtype), q.value.device());
  kernel.attention(q.value, k.value, v.value, out, lse.view(), spec);
  auto backward = [q = q, k = k, v = v, out, lse, spec, inputs, &kernel](Gradients& g) {
    Tensor dq = uninitialised_like(q.value), dk = uninitialised_like(k.value),
           dv = uninitialised_like(v.value);
    const auto tables = tables_of(inputs).map([](const Var& table) {
      return std::pair(table, table.needs_grad() ? uninitialised_like(table.value) : Tensor());
    });
    const auto gradients = tables.map([](const auto& table) { return table.second.view(); });
    kernel.attention_backward(q.value, k.value, v.value, out, lse, g.of_output(), spec,
                              {.dq = dq, .dk = dk, .dv = dv, .tables = gradients});
    g.add(q, dq);
    g.add(k, dk);
    g.add(v, dv);
    tables.for_each([&](const auto& table) { g.add(table.first, table.second); });
  };
  return record("attention", out, operands, std::move(backward));
}

}  // namespace

Var attention(const Var& q, const Var& k, const Var& v, kernels::AttentionSpec spec,
              const AttentionInputs& inputs) {
  const AttentionShape z = require_heads(q.shape(), k.shape(), v.shape());
  const Tables tables = tables_of(inputs);
  require_mask(spec, z);
  require_segments_and_prefix(inputs, z);
  require_tables(tables, z, accumulation_type(q.value.dtype()));
  spec = with_views(std::move(spec), inputs, tables);
  return tables.apply([&](const auto&... table) {
    return checked_attention(q, k, v, spec, inputs, {&q, &k, &v, &table...});
  });
}

}  // namespace lathe::ops
