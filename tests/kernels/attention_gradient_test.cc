// The backward of the reference attention against central differences, for every input that has a
// gradient.
#include "kernels/attention_options.h"
#include "kernels/differences.h"

namespace lathe::kernels::testing {
namespace {

AttentionSizes sizes_of(uint64_t index) {
  AttentionSizes z{{{3, 5}, {3, 5}}, 4, 2, 3, 2};
  const Draw draw(900 + index);
  if (draw.of("ragged", {false, true}))
    z.sequences = {
        {draw.of<int64_t>("T", {0, 1, 4}), 4}, {0, 2}, {draw.of<int64_t>("t", {1, 2}), 3}};
  z.block_size = draw.of<int64_t>("pages", {0, 1, 2, 3});
  return z;
}

// Small enough for differences in every element, with each option large enough to matter.
AttentionOptions options_of(uint64_t index, const AttentionSizes& z) {
  const Draw draw(500 + index);
  AttentionOptions o = random_options(draw, z);
  if (o.spec.pattern.kind != BlockPattern::Kind::kNone)
    o.spec.pattern = {.kind = o.spec.pattern.kind, .stride = 2};
  o.spec.window = std::min<int64_t>(o.spec.window, 3);
  o.spec.scale = 0.6f;
  if (o.distances > 0) o.distances = draw.of<int64_t>("few", {1, 3, 9});
  o.shaw_keys = std::min<int64_t>(o.shaw_keys, 5);
  return o;
}

// Segments 0, 1, 1, 2, 2 of the keys; the queries begin with 1, and one sees nothing.
std::vector<int32_t> few_segments(const AttentionSizes& z, int64_t SequenceSizes::*member) {
  const std::vector<int32_t> of_keys{0, 1, 1, 2, 2}, of_queries{1, 2, 7, 1};
  std::vector<int32_t> all;
  for (const SequenceSizes& each : z.sequences) {
    const auto& ids = member == &SequenceSizes::keys ? of_keys : of_queries;
    all.insert(all.end(), ids.begin(), ids.begin() + each.*member);
  }
  return all;
}
std::vector<int32_t> few_prefixes(const AttentionSizes& z) {
  std::vector<int32_t> all(z.sequences.size(), 0);
  all[0] = 2;
  return all;
}

class AttentionGradient : public ::testing::TestWithParam<uint64_t> {};
TEST_P(AttentionGradient, EqualsDifferences) {
  const AttentionSizes z = sizes_of(GetParam());
  const AttentionLayout layout(z);
  const AttentionOptions o = options_of(GetParam(), z);
  SCOPED_TRACE(name_of(o, z));
  const Shape qs{z.queries(), z.heads, z.depth}, ks{layout.key_rows(), z.kv_heads, z.depth},
      vs{layout.key_rows(), z.kv_heads, z.value_depth}, os{z.queries(), z.heads, z.value_depth};
  const Tensor q = random(qs, "q"), k = random(ks, "k"), v = random(vs, "v"), out = zeros(os),
               lse = zeros({z.heads, z.queries()}), dout = random(os, "dout");
  const auto table = [](bool on, const Shape& shape, std::string_view name) {
    return on ? random(shape, name) : Tensor();
  };
  const AttentionTables<Tensor> tables{
      .distance_bias = table(o.distances > 0, {z.heads, o.distances}, "distances"),
      .key_bias = table(o.key_biases > 0, {z.heads, o.key_biases}, "bias"),
      .sink_logits = table(o.sink_logits, {z.heads}, "sinks"),
      .shaw_keys = table(o.shaw_keys > 0, {o.shaw_keys, z.depth}, "rk"),
      .shaw_values = table(o.shaw_values > 0, {o.shaw_values, z.value_depth}, "rv")};
  const Tensor query_segments =
                   Tensor::of<int32_t>(few_segments(z, &SequenceSizes::queries), {z.queries()}),
               key_segments =
                   Tensor::of<int32_t>(few_segments(z, &SequenceSizes::keys), {z.keys()}),
               prefix = Tensor::of<int32_t>(few_prefixes(z), {z.batch()});
  AttentionSpec spec = o.spec;
  spec.rows = layout.view();
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
