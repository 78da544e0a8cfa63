// The backward of the reference attention against central differences, for every input that has a
// gradient.
#include "kernels/attention_options.h"
#include "kernels/differences.h"

namespace lathe::kernels::testing {
namespace {

constexpr AttentionSizes kSizes{2, 3, 5, 4, 2, 3, 2};

// Small enough for differences in every element, with each option large enough to matter.
AttentionOptions options_of(uint64_t index) {
  const Draw draw(500 + index);
  AttentionOptions o = random_options(draw, kSizes);
  if (o.spec.pattern.kind != BlockPattern::Kind::kNone)
    o.spec.pattern = {.kind = o.spec.pattern.kind, .stride = 2};
  o.spec.window = std::min<int64_t>(o.spec.window, 3);
  o.spec.scale = 0.6f;
  if (o.distances > 0) o.distances = draw.of<int64_t>("few", {1, 3, 9});
  o.shaw_keys = std::min<int64_t>(o.shaw_keys, 5);
  return o;
}

class AttentionGradient : public ::testing::TestWithParam<uint64_t> {};
TEST_P(AttentionGradient, EqualsDifferences) {
  const AttentionSizes z = kSizes;
  const AttentionOptions o = options_of(GetParam());
  SCOPED_TRACE(name_of(o, z));
  const Shape qs{z.batch, z.queries, z.heads, z.depth}, ks{z.batch, z.keys, z.kv_heads, z.depth},
      vs{z.batch, z.keys, z.kv_heads, z.value_depth},
      os{z.batch, z.queries, z.heads, z.value_depth};
  const Tensor q = random(qs, "q"), k = random(ks, "k"), v = random(vs, "v"), out = zeros(os),
               lse = zeros({z.batch, z.heads, z.queries}), dout = random(os, "dout");
  const Tensor distances = random({z.heads, std::max<int64_t>(1, o.distances)}, "distances"),
               bias = random({z.heads, z.keys}, "bias"), sinks = random({z.heads}, "sinks"),
               rk = random({std::max<int64_t>(1, o.shaw_keys), z.depth}, "rk"),
               rv = random({std::max<int64_t>(1, o.shaw_values), z.value_depth}, "rv");
  const Tensor query_segments = Tensor::of<int32_t>(std::vector<int32_t>{1, 2, 7, 1, 1, 2}, {2, 3}),
               key_segments =
                   Tensor::of<int32_t>(std::vector<int32_t>{0, 1, 1, 2, 2, 0, 1, 1, 1, 2}, {2, 5}),
               prefix = Tensor::of<int32_t>(std::vector<int32_t>{2, 0}, {2});
  AttentionSpec spec = o.spec;
  if (o.segments) spec.query_segments = query_segments, spec.key_segments = key_segments;
  if (o.prefix) spec.prefix = prefix;
  if (o.distances > 0) spec.distance_bias = distances;
  if (o.key_bias_rank > 0) spec.key_bias = bias;
  if (o.sink_logits) spec.sink_logits = sinks;
  if (o.shaw_keys > 0) spec.shaw_keys = rk;
  if (o.shaw_values > 0) spec.shaw_values = rv;
  const Tensor dq = zeros(qs), dk = zeros(ks), dv = zeros(vs),
               ddistances = zeros(distances.shape()), dsinks = zeros(sinks.shape()),
               drk = zeros(rk.shape()), drv = zeros(rv.shape());
  const auto loss = [&] {
    kernels().attention(q, k, v, out, lse, spec);
    return dot(out, dout);
  };
  loss();
  kernels().attention_backward(
      q, k, v, out, lse, dout, spec,
      {.dq = dq,
       .dk = dk,
       .dv = dv,
       .distance_bias = spec.distance_bias ? ddistances.view() : TensorView{},
       .sink_logits = spec.sink_logits ? dsinks.view() : TensorView{},
       .shaw_keys = spec.shaw_keys ? drk.view() : TensorView{},
       .shaw_values = spec.shaw_values ? drv.view() : TensorView{}});
  check_gradient("q", q, dq, loss);
  check_gradient("k", k, dk, loss);
  check_gradient("v", v, dv, loss);
  if (o.distances > 0) check_gradient("distance_bias", distances, ddistances, loss);
  if (o.sink_logits) check_gradient("sink_logits", sinks, dsinks, loss);
  if (o.shaw_keys > 0) check_gradient("shaw_keys", rk, drk, loss);
  if (o.shaw_values > 0) check_gradient("shaw_values", rv, drv, loss);
}
INSTANTIATE_TEST_SUITE_P(, AttentionGradient, ::testing::Range<uint64_t>(0, 80));

}  // namespace
}  // namespace lathe::kernels::testing
