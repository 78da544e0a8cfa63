#include "lathe/ops/attention.h"

#include "lathe/ops/common.h"

namespace lathe::ops {

std::array<Var, 3> split_heads(const Var& x, const HeadCounts& heads) {
  const int64_t total = heads.query + heads.key + heads.value;
  require(x.value.rank() == 3 && total > 0 && x.shape()[2] % total == 0, ErrorKind::kShape,
          "split_heads", "{} cannot be cut into {} heads", x.shape().str(), total);
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
    Tensor dx(shape, dtype, device);
    int64_t start = 0;
    for (int i = 0; i < 3; ++i) {
      const Tensor target = dx.narrow(2, start * width, counts[i] * width).split_last(counts[i]);
      const Tensor& source = g.of_output(i);
      if (source.defined()) {
        kernels_of(dx).cast(source, target);
      } else {
        kernels_of(dx).scale(0.0, target, target);
      }
      start += counts[i];
    }
    g.add(x, dx);
  };
  auto vars = tape->record("split_heads", parts, {&x}, std::move(backward), {});
  return {vars[0], vars[1], vars[2]};
}

Var split_heads(const Var& x, int64_t heads) {
  require(x.value.rank() == 3 && heads > 0 && x.shape()[2] % heads == 0, ErrorKind::kShape,
          "split_heads", "{} cannot be cut into {} heads", x.shape().str(), heads);
  return record("split_heads", x.value.split_last(heads), {&x},
                [x = x.ref(), shape = x.shape()](Gradients& g) {
                  const Tensor& dy = g.of_output();
                  g.add(x, (dy.contiguous() ? dy : dy.clone()).reshape(shape));
                });
}

Var merge_heads(const Var& x) {
  require(x.value.rank() == 4, ErrorKind::kShape, "merge_heads", "{} is not [B,T,H,D]",
          x.shape().str());
  const Shape merged = {x.shape()[0], x.shape()[1], x.shape()[2] * x.shape()[3]};
  return record("merge_heads", x.value.reshape(merged), {&x},
                [x = x.ref(), shape = x.shape()](Gradients& g) {
                  const Tensor& dy = g.of_output();
                  g.add(x, (dy.contiguous() ? dy : dy.clone()).reshape(shape));
                });
}

Var rope(const Var& x, const RopeTables& tables, const Tensor& positions,
         kernels::RopeLayout layout) {
  require(x.value.rank() == 4, ErrorKind::kShape, "rope", "{} is not [B,T,H,D]", x.shape().str());
  require_shape("rope", "positions", positions, {x.shape()[0], x.shape()[1]});
  require(tables.cos.rank() == 2 && tables.cos.shape() == tables.sin.shape() &&
              2 * tables.cos.size(1) <= x.shape()[3],
          ErrorKind::kShape, "rope", "tables {} do not fit heads of width {}",
          tables.cos.shape().str(), x.shape()[3]);
  for (int32_t p : positions.span<int32_t>())
    require(p >= 0 && p < tables.cos.size(0), ErrorKind::kData, "rope",
            "position {} is outside the {} prepared; raise max_position_embeddings", p,
            tables.cos.size(0));
  const auto& k = kernels_of(x.value);
  Tensor out(x.shape(), x.value.dtype(), x.value.device());
  kernels::RopeSpec spec{layout, false};
  k.rope(x.value, tables.cos, tables.sin, positions, out, spec);
  return record("rope", out, {&x}, [x = x.ref(), tables, positions, spec, &k](Gradients& g) {
    const Tensor& dy = g.of_output();
    Tensor dx(dy.shape(), dy.dtype(), dy.device());
    k.rope(dy, tables.cos, tables.sin, positions, dx, {spec.layout, true});
    g.add(x, dx);
  });
}

Var attention(const Var& q, const Var& k, const Var& v, kernels::AttentionSpec spec,
              const AttentionSegments& segments) {
  const Shape &sq = q.shape(), &sk = k.shape(), &sv = v.shape();
  require(sq.rank() == 4 && sk.rank() == 4 && sv.rank() == 4 && sq[0] == sk[0] && sq[0] == sv[0] &&
              sk[1] == sv[1] && sk[2] == sv[2] && sq[3] == sk[3] && sk[2] > 0 && sq[2] % sk[2] == 0,
          ErrorKind::kShape, "attention",
          "q {}, k {}, v {} do not fit: expected [B,T,H,D], [B,S,K,D], [B,S,K,Dv]", sq.str(),
          sk.str(), sv.str());
  require(!spec.causal || sk[1] >= sq[1], ErrorKind::kShape, "attention",
          "{} queries but only {} keys under a causal mask", sq[1], sk[1]);
  if (segments.query.defined()) {
    require_shape("attention", "query segments", segments.query, {sq[0], sq[1]});
    require_shape("attention", "key segments", segments.key, {sk[0], sk[1]});
    spec.query_segments = segments.query;
    spec.key_segments = segments.key;
  }
  const auto& kernel = kernels_of(q.value);
  Tensor out({sq[0], sq[1], sq[2], sv[3]}, q.value.dtype(), q.value.device());
  Tensor lse;
  if (tape_of({&q, &k, &v}) != nullptr)
    lse = Tensor({sq[0], sq[2], sq[1]}, accumulation_type(q.value.dtype()), q.value.device());
  kernel.attention(q.value, k.value, v.value, out, lse.view(), spec);
  auto backward = [q = q.ref(), k = k.ref(), v = v.ref(), tq = q.value, tk = k.value, tv = v.value,
                   out, lse, spec, segments, &kernel](Gradients& g) {
    Tensor dq(tq.shape(), tq.dtype(), tq.device()), dk(tk.shape(), tk.dtype(), tk.device()),
        dv(tv.shape(), tv.dtype(), tv.device());
    kernel.attention_backward(tq, tk, tv, out, lse, g.of_output(), spec, {dq, dk, dv});
    g.add(q, dq);
    g.add(k, dk);
    g.add(v, dv);
  };
  return record("attention", out, {&q, &k, &v}, std::move(backward));
}

}  // namespace lathe::ops
