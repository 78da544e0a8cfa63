#include "lathe/ops/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "lathe/ops/common.h"

namespace lathe::ops {

std::array<Var, 3> split_heads(const Var& x, const HeadCounts& heads) {
  const int64_t total = heads.query + heads.key + heads.value;
  require(x.value.rank() == 2 && total > 0 && x.shape()[1] % total == 0, ErrorKind::kShape,
          "split_heads", "{} cannot be cut into {} heads", x.shape(), total);
  const int64_t width = x.shape()[1] / total;
  const std::array<int64_t, 3> counts = {heads.query, heads.key, heads.value};
  std::array<Tensor, 3> parts;
  int64_t first = 0;
  for (int i = 0; i < 3; ++i) {
    parts[i] = x.value.narrow(1, first * width, counts[i] * width).split_last(counts[i]);
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
      targets[i] = dx.narrow(1, start * width, counts[i] * width).split_last(counts[i]);
      start += counts[i];
    }
    join_output_gradients(g, dx, targets);
    g.add(x, dx);
  };
  auto vars = tape->record("split_heads", parts, {&x}, std::move(backward), {});
  return {vars[0], vars[1], vars[2]};
}

Var split_heads(const Var& x, int64_t heads) {
  require(x.value.rank() == 2 && heads > 0 && x.shape()[1] % heads == 0, ErrorKind::kShape,
          "split_heads", "{} cannot be cut into {} heads", x.shape(), heads);
  return record("split_heads", x.value.split_last(heads), {&x},
                [x = x.ref(), shape = x.shape()](Gradients& g) {
                  const Tensor& dy = g.of_output();
                  g.add(x, (dy.contiguous() ? dy : dy.clone()).reshape(shape));
                });
}

Var merge_heads(const Var& x) {
  require(x.value.rank() == 3, ErrorKind::kShape, "merge_heads", "{} is not [N,H,D]", x.shape());
  const Shape merged = {x.shape()[0], x.shape()[1] * x.shape()[2]};
  return record("merge_heads", x.value.reshape(merged), {&x},
                [x = x.ref(), shape = x.shape()](Gradients& g) {
                  const Tensor& dy = g.of_output();
                  g.add(x, (dy.contiguous() ? dy : dy.clone()).reshape(shape));
                });
}

namespace {

Var rope_into(const Tensor& out, const Var& x, const RopeTables& tables, const Tensor& positions,
              kernels::RopeLayout layout) {
  require(x.value.rank() == 3, ErrorKind::kShape, "rope", "{} is not [N,H,D]", x.shape());
  require_shape("rope", "positions", positions, {x.shape()[0]});
  require(tables.cos.rank() == 2 && tables.cos.shape() == tables.sin.shape() &&
              2 * tables.cos.size(1) <= x.shape()[2],
          ErrorKind::kShape, "rope", "tables {} do not fit heads of width {}", tables.cos.shape(),
          x.shape()[2]);
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
  int64_t B, N, M, H, D, Dv, longest;
};

// f(b, block, the keys in it) for the blocks of each sequence.
template <class F>
void for_each_block(const KeyValues& kv, F&& f) {
  for (int64_t b = 0; b < kv.keys.count(); ++b)
    for (int64_t s = 0; s < kv.keys.length(b); s += kv.block_size)
      f(b, s / kv.block_size, std::min(kv.block_size, kv.keys.length(b) - s));
}
int64_t first_row(const KeyValues& kv, int64_t b, int64_t block) {
  return kv.blocks.data<int32_t>()[b * kv.blocks.stride(0) + block];
}

AttentionShape require_rows(const Var& q, const Sequences& queries, const KeyValues& kv) {
  const Shape &k = kv.k.shape(), &v = kv.v.shape(), &z = q.shape();
  require(z.rank() == 3 && k.rank() == 3 && v.rank() == 3 && k[0] == v[0] && k[1] == v[1] &&
              z[2] == k[2] && k[1] > 0 && z[1] % k[1] == 0,
          ErrorKind::kShape, kAttention,
          "q {}, k {}, v {} do not fit: expected [N,H,D], [R,K,D], [R,K,Dv]", z, k, v);
  require(z[0] == queries.rows() && kv.keys.count() == queries.count(), ErrorKind::kShape,
          kAttention, "q {} and keys of {} sequences, expected {} rows of {} sequences", z,
          kv.keys.count(), queries.rows(), queries.count());
  require(kv.block_size > 0 && kv.blocks.defined() && kv.blocks.dtype() == DType::kI32 &&
              kv.blocks.rank() == 2 && kv.blocks.size(0) == queries.count() &&
              (kv.blocks.size(1) <= 1 || kv.blocks.stride(1) == 1),
          ErrorKind::kShape, kAttention, "blocks of {} tokens, expected i32 [{}, n]", kv.block_size,
          queries.count());
  for_each_block(kv, [&](int64_t b, int64_t block, int64_t keys) {
    require(block < kv.blocks.size(1), ErrorKind::kShape, kAttention,
            "sequence {} has {} keys, but {} blocks of {}", b, kv.keys.length(b), kv.blocks.size(1),
            kv.block_size);
    const int64_t first = first_row(kv, b, block);
    require(first >= 0 && first + keys <= k[0], ErrorKind::kShape, kAttention,
            "block {} of sequence {} is rows {} to {}, but there are {}", block, b, first,
            first + keys, k[0]);
  });
  return {queries.count(), z[0], kv.keys.rows(), z[1], z[2], v[2], kv.keys.longest()};
}

// Keys of q's own type, or those of a cache in a smaller one.
void require_types(const Var& q, const KeyValues& kv, bool recorded) {
  const DType own = q.value.dtype(), k = kv.k.value.dtype();
  const bool smaller = k == DType::kI8 || (own == DType::kF32 && k == DType::kBF16);
  require(k == kv.v.value.dtype() && (k == own || smaller), ErrorKind::kShape, kAttention,
          "q is {}, k {} and v {}: expected k and v of q's type, or both bfloat16 or int8",
          name_of(own), name_of(k), name_of(kv.v.value.dtype()));
  require(k == own || !recorded, ErrorKind::kShape, kAttention,
          "k and v are {} for a q of {}, through which no gradient goes; record a pass without a "
          "cache",
          name_of(k), name_of(own));
  for (const auto& [what, scales] :
       {std::pair{"key scales", &kv.k_scales}, {"value scales", &kv.v_scales}}) {
    require(scales->defined() == (k == DType::kI8), ErrorKind::kShape, kAttention,
            "keys of {} {} {}; int8 has them and no other type", name_of(k),
            scales->defined() ? "with" : "without", what);
    if (!scales->defined()) continue;
    require_dtype(kAttention, what, *scales, DType::kF32);
    require_shape(kAttention, what, *scales, {kv.k.shape()[0], kv.k.shape()[1]});
  }
}

// The backward writes the gradients of k and v key by key.
void require_all_keys(const KeyValues& kv) {
  if (!kv.k.needs_grad() && !kv.v.needs_grad()) return;
  const int64_t rows = kv.k.shape()[0];
  std::vector<bool> is_key(static_cast<size_t>(rows), false);
  for_each_block(kv, [&](int64_t b, int64_t block, int64_t keys) {
    std::fill_n(is_key.begin() + first_row(kv, b, block), keys, true);
  });
  require(kv.keys.rows() == rows && std::ranges::all_of(is_key, std::identity()), ErrorKind::kShape,
          kAttention,
          "{} keys in the {} rows of k and v, which have a gradient; expected every row to be one "
          "key of one sequence",
          kv.keys.rows(), rows);
}

void require_mask(const kernels::AttentionSpec& spec, const Sequences& queries,
                  const Sequences& keys) {
  for (int64_t b = 0; b < queries.count() && spec.causal; ++b)
    require(keys.length(b) >= queries.length(b), ErrorKind::kShape, kAttention,
            "{} queries but only {} keys under a causal mask", queries.length(b), keys.length(b));
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
    check("key bias", t, t.rank() == 2 && t.size(0) == z.H && t.size(1) >= z.longest,
          fmt::format("[{}, at least {}]", z.H, z.longest));
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
    require_indices("query segments", query, {z.N});
    require_indices("key segments", key, {z.M});
  }
  if (in.prefix.defined()) require_indices("prefix", in.prefix, {z.B});
}

void require_sink_query(const AttentionInputs& in, const Var& q,
                        const kernels::AttentionSpec& spec) {
  const Tensor& sinks = in.sink_query;
  if (!sinks.defined()) return;
  require_dtype(kAttention, "queries of sink tokens", sinks, q.value.dtype());
  require_shape(kAttention, "queries of sink tokens", sinks, q.shape());
  require(spec.causal && spec.window > 0 && spec.sink_tokens > 0 && !in.shaw_keys.value.defined() &&
              !in.shaw_values.value.defined() && !q.needs_grad(),
          ErrorKind::kConfig, kAttention,
          "queries of sink tokens need a causal window with sink tokens, and can be combined "
          "neither with Shaw's tables nor with a backward pass");
}

kernels::AttentionSpec with_views(kernels::AttentionSpec spec, const Sequences& queries,
                                  const KeyValues& kv, const AttentionInputs& in,
                                  const Tables& tables) {
  spec.rows = {.first = queries.offsets().view(),
               .first_key = kv.keys.offsets().view(),
               .blocks = kv.blocks.view(),
               .block_size = kv.block_size};
  spec.query_segments = in.segments.query.view();
  spec.key_segments = in.segments.key.view();
  spec.prefix = in.prefix.view();
  spec.key_scales = kv.k_scales.view();
  spec.value_scales = kv.v_scales.view();
  spec.tables = tables.map([](const Var& table) { return table.value.view(); });
  spec.distance_offset = in.distance_bias.offset;
  spec.sink_query = in.sink_query.view();
  return spec;
}

Tensor uninitialised_like(const Tensor& t) { return {t.shape(), t.dtype(), t.device()}; }

// After the checks. `spec` has views of what `queries`, `kv` and `inputs` own; `operands` are q, k,
// v and the tables.
Var checked_attention(const Var& q, const Sequences& queries, const KeyValues& kv,
                      const kernels::AttentionSpec& spec, const AttentionInputs& inputs,
                      std::initializer_list<const Var*> operands) {
  const int64_t tokens = q.shape()[0], heads = q.shape()[1];
  const DType dtype = q.value.dtype();
  const auto& kernel = kernels_of(q.value);
  Tensor out({tokens, heads, kv.v.shape()[2]}, dtype, q.value.device()), lse;
  if (tape_of(operands) != nullptr)
    lse = Tensor({heads, tokens}, accumulation_type(dtype), q.value.device());
  kernel.attention(q.value, kv.k.value, kv.v.value, out, lse.view(), spec);
  auto backward = [q = q, queries, kv, out, lse, spec, inputs, &kernel](Gradients& g) {
    Tensor dq = uninitialised_like(q.value), dk = uninitialised_like(kv.k.value),
           dv = uninitialised_like(kv.v.value);
    const auto tables = tables_of(inputs).map([](const Var& table) {
      return std::pair(table, table.needs_grad() ? uninitialised_like(table.value) : Tensor());
    });
    const auto gradients = tables.map([](const auto& table) { return table.second.view(); });
    kernel.attention_backward(q.value, kv.k.value, kv.v.value, out, lse, g.of_output(), spec,
                              {.dq = dq, .dk = dk, .dv = dv, .tables = gradients});
    g.add(q, dq);
    g.add(kv.k, dk);
    g.add(kv.v, dv);
    tables.for_each([&](const auto& table) { g.add(table.first, table.second); });
  };
  return record("attention", out, operands, std::move(backward));
}

}  // namespace

KeyValues KeyValues::packed(const Var& k, const Var& v, const Sequences& keys) {
  return {k, v, keys, keys.offsets().narrow(0, 0, keys.count()).reshape({keys.count(), 1}),
          std::max<int64_t>(1, keys.longest())};
}

Var attention(const Var& q, const Sequences& queries, const KeyValues& kv,
              kernels::AttentionSpec spec, const AttentionInputs& inputs) {
  const AttentionShape z = require_rows(q, queries, kv);
  const Tables tables = tables_of(inputs);
  require_mask(spec, queries, kv.keys);
  require_segments_and_prefix(inputs, z);
  require_tables(tables, z, accumulation_type(q.value.dtype()));
  require_sink_query(inputs, q, spec);
  require_all_keys(kv);
  spec = with_views(std::move(spec), queries, kv, inputs, tables);
  return tables.apply([&](const auto&... table) {
    require_types(q, kv, tape_of({&q, &kv.k, &kv.v, &table...}) != nullptr);
    return checked_attention(q, queries, kv, spec, inputs, {&q, &kv.k, &kv.v, &table...});
  });
}

}  // namespace lathe::ops
