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
  const auto table = [](bool on, const Shape& shape, std::string_view name) {
    return on ? random(shape, name) : Tensor();
  };
  const AttentionTables<Tensor> tables{
      .distance_bias = table(o.distances > 0, {z.heads, o.distances}, "distances"),
      .key_bias = table(o.key_bias_rank > 0, {z.heads, z.keys}, "bias"),
      .sink_logits = table(o.sink_logits, {z.heads}, "sinks"),
      .shaw_keys = table(o.shaw_keys > 0, {o.shaw_keys, z.depth}, "rk"),
      .shaw_values = table(o.shaw_values > 0, {o.shaw_values, z.value_depth}, "rv")};
  const Tensor query_segments = Tensor::of<int32_t>(std::vector<int32_t>{1, 2, 7, 1, 1, 2}, {2, 3}),
               key_segments =
                   Tensor::of<int32_t>(std::vector<int32_t>{0, 1, 1, 2, 2, 0, 1, 1, 1, 2}, {2, 5}),
               prefix = Tensor::of<int32_t>(std::vector<int32_t>{2, 0}, {2});
  AttentionSpec spec = o.spec;
  if (o.segments) spec.query_segments = query_segments, spec.key_segments = key_segments;
  if (o.prefix) spec.prefix = prefix;
  const auto view = [](const Tensor& t) { return t.view(); };
  spec.tables = tables.map(view);
  const Tensor dq = zeros(qs), dk = zeros(ks), dv = zeros(vs);
  AttentionTables<Tensor> gradients =
      tables.map([](const Tensor& t) { return t.defined() ? zeros(t.shape()) : Tensor(); });
  gradients.key_bias = {};
  const auto loss = [&] {
    kernels().attention(q, k, v, out, lse, spec);
    return dot(out, dout);
  };
  loss();
  kernels().attention_backward(q, k, v, out, lse, dout, spec,
                               {.dq = dq, .dk = dk, .dv = dv, .tables = gradients.map(view)});
  check_gradient("q", q, dq, loss);
  check_gradient("k", k, dk, loss);
  check_gradient("v", v, dv, loss);
  const auto check_table = [&](const char* name, Tensor AttentionTables<Tensor>::*member) {
    if ((tables.*member).defined()) check_gradient(name, tables.*member, gradients.*member, loss);
  };
  check_table("distance_bias", &AttentionTables<Tensor>::distance_bias);
  check_table("sink_logits", &AttentionTables<Tensor>::sink_logits);
  check_table("shaw_keys", &AttentionTables<Tensor>::shaw_keys);
  check_table("shaw_values", &AttentionTables<Tensor>::shaw_values);
}
INSTANTIATE_TEST_SUITE_P(, AttentionGradient, ::testing::Range<uint64_t>(0, 80));

}  // namespace
}  // namespace lathe::kernels::testing
