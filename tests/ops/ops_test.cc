// Every operation through the harness. A new operation adds its cases here.

#include "lathe/ops/attention.h"
#include "lathe/ops/attention_bias.h"
#include "lathe/ops/channels.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/ops/depthwise_conv.h"
#include "lathe/ops/dot.h"
#include "lathe/ops/embedding.h"
#include "lathe/ops/linear.h"
#include "lathe/ops/norm.h"
#include "lathe/ops/token_log_probs.h"
#include "ops/harness.h"

namespace lathe::testing {
namespace {

using kernels::ActivationId;
using kernels::AttentionSpec;
using kernels::RopeLayout;
using Vars = std::vector<Var>;

Tensor indices(const std::vector<int32_t>& values, const Shape& shape) {
  return Tensor::of<int32_t>(values, shape);
}

Sequences sequences(const std::vector<int64_t>& lengths) { return Sequences(lengths); }

void add_linear(std::vector<Case>& all) {
  all.push_back({"linear", {{{2, 3, 5}}, {{4, 5}, Kind::kWeight}}, [](const Vars& v) -> Vars {
                   return {ops::linear(v[0], v[1], Var())};
                 }});
  all.push_back({"linear_bias",
                 {{{2, 3, 5}}, {{4, 5}, Kind::kWeight}, {{4}, Kind::kGain}},
                 [](const Vars& v) -> Vars { return {ops::linear(v[0], v[1], v[2])}; }});
  all.push_back(
      {"linear_wide_output", {{{3, 5}}, {{4, 5}, Kind::kWeight}}, [](const Vars& v) -> Vars {
         return {ops::linear(v[0], v[1], Var(), wide(v[0].value.dtype()))};
       }});
  all.push_back({"embedding", {{{5, 4}, Kind::kWeight}}, [](const Vars& v) -> Vars {
                   return {ops::embedding(v[0], indices({4, 0, 4, 2, 4, 0}, {2, 3}))};
                 }});
  all.push_back({"embedding_of_what_was_computed", {{{5, 4}}}, [](const Vars& v) -> Vars {
                   return {ops::embedding(v[0], indices({4, 0, 4, 2, 4, 0}, {2, 3}))};
                 }});
}

void add_elementwise(std::vector<Case>& all) {
  all.push_back(
      {"add", {{{2, 3}}, {{2, 3}}}, [](const Vars& v) -> Vars { return {ops::add(v[0], v[1])}; }});
  all.push_back(
      {"add_to_itself", {{{2, 3}}}, [](const Vars& v) -> Vars { return {ops::add(v[0], v[0])}; }});
  for (const std::string& name : kernels::activation_names()) {
    const ActivationId f = kernels::find_activation(name);
    all.push_back({"activation_" + name, {{{2, 3, 4}}}, [f](const Vars& v) -> Vars {
                     return {ops::activation(f, v[0])};
                   }});
    all.push_back({"gated_" + name, {{{2, 3, 6}}}, [f](const Vars& v) -> Vars {
                     return {ops::gated(f, v[0])};
                   }});
  }
  all.push_back({"dropout", {{{4, 9}}}, [](const Vars& v) -> Vars {
                   return {ops::dropout(v[0], 0.3, Rng(3))};
                 }});
}

void add_norms(std::vector<Case>& all) {
  const Input x{{2, 3, 6}}, gain{{6}, Kind::kGain};
  const auto add = [&](const std::string& name, auto norm) {
    all.push_back(
        {name, {x}, [norm](const Vars& v) -> Vars { return {norm(v[0], Var(), Var(), 1e-5)}; }});
    all.push_back({name + "_weight", {x, gain}, [norm](const Vars& v) -> Vars {
                     return {norm(v[0], v[1], Var(), 1e-5)};
                   }});
    all.push_back({name + "_weight_bias", {x, gain, gain}, [norm](const Vars& v) -> Vars {
                     return {norm(v[0], v[1], v[2], 1e-3)};
                   }});
  };
  add("rms_norm", ops::rms_norm);
  add("layer_norm", ops::layer_norm);
  add("crms_norm", ops::crms_norm);
}

void add_convolutions(std::vector<Case>& all) {
  const auto add = [&](const std::string& name, int64_t taps, const ops::DepthwiseConv& conv) {
    const Input x{{conv.inputs.rows(), 5}}, weight{{taps, 5}, Kind::kWeight},
        bias{{5}, Kind::kGain};
    all.push_back({name, {x, weight}, [conv](const Vars& v) -> Vars {
                     return {ops::depthwise_conv(v[0], v[1], Var(), conv)};
                   }});
    all.push_back({name + "_bias", {x, weight, bias}, [conv](const Vars& v) -> Vars {
                     return {ops::depthwise_conv(v[0], v[1], v[2], conv)};
                   }});
  };
  const auto equal = [](int64_t outputs, int64_t inputs) {
    return ops::DepthwiseConv{.outputs = Sequences::equal(2, outputs),
                              .inputs = Sequences::equal(2, inputs)};
  };
  ops::DepthwiseConv documents = equal(5, 5), grid = equal(6, 6);
  documents.segments.query = documents.segments.key = indices({0, 0, 0, 1, 1, 2, 2, 2, 2, 2}, {10});
  grid.grid_height = 2, grid.grid_width = 3;
  add("depthwise_conv", 3, equal(5, 5));
  add("depthwise_conv_last", 4, equal(2, 5));
  add("depthwise_conv_documents", 3, documents);
  add("depthwise_conv_grid", 9, grid);
  add("depthwise_conv_ragged", 3,
      {.outputs = sequences({2, 0, 1, 4}), .inputs = sequences({2, 1, 3, 5})});
}

Var rotated(const Var& x, int64_t width, RopeLayout layout, decltype(ops::rope)& rope = ops::rope) {
  Values cosines, sines;
  for (int p = 0; p < 9; ++p) {
    for (int64_t i = 0; i < width / 2; ++i) {
      const double angle = p / std::pow(7.0, static_cast<double>(i));
      cosines.push_back(std::cos(angle));
      sines.push_back(std::sin(angle));
    }
  }
  const DType dtype = wide(x.value.dtype());
  const Device device = x.value.device();
  const Shape shape = {9, width / 2};
  return rope(x, {tensor_of(cosines, shape, dtype, device), tensor_of(sines, shape, dtype, device)},
              indices({0, 1, 2, 8, 0, 5}, {6}), layout);
}

void add_heads(std::vector<Case>& all) {
  all.push_back({"split_heads", {{{6, 16}}}, [](const Vars& v) -> Vars {
                   const auto [q, k, w] = ops::split_heads(v[0], {4, 2, 2});
                   return {q, k, w};
                 }});
  all.push_back({"split_heads_all_used", {{{6, 12}}}, [](const Vars& v) -> Vars {
                   const auto [q, k, w] = ops::split_heads(v[0], {2, 2, 2});
                   return {ops::add(ops::add(q, k), w)};
                 }});
  all.push_back({"split_heads_of_one_kind", {{{6, 12}}}, [](const Vars& v) -> Vars {
                   return {ops::split_heads(v[0], 3)};
                 }});
  all.push_back({"merge_heads", {{{6, 4, 2}}}, [](const Vars& v) -> Vars {
                   return {ops::merge_heads(v[0])};
                 }});
  for (const auto& [name, layout] :
       {std::pair{"half", RopeLayout::kHalfSplit}, {"interleaved", RopeLayout::kInterleaved}}) {
    for (int64_t width : {8, 4})
      all.push_back({std::string("rope_") + name + "_" + std::to_string(width),
                     {{{6, 2, 8}}},
                     [width, layout = layout](const Vars& v) -> Vars {
                       return {rotated(v[0], width, layout)};
                     }});
  }
  // Some heads of a value that nothing else reads, beside heads that stay as they are.
  all.push_back({"rope_in_place", {{{6, 16}}}, [](const Vars& v) -> Vars {
                   const auto [q, k, w] = ops::split_heads(ops::scale(v[0], 2.0), {2, 1, 1});
                   return {rotated(q, 4, RopeLayout::kHalfSplit, ops::rope_in_place), k, w};
                 }});
}

void add_channels(std::vector<Case>& all) {
  all.push_back({"split_channels", {{{2, 3, 16}}}, [](const Vars& v) -> Vars {
                   const std::vector<int64_t> widths = {5, 3, 8};
                   return ops::split_channels(v[0], widths);
                 }});
  for (const int64_t heads : {4, 1})
    all.push_back({heads == 1 ? "join_channels_shared" : "join_channels",
                   {{{6, 4, 5}}, {{6, heads, 2}}},
                   [](const Vars& v) -> Vars { return {ops::join_channels(v[0], v[1])}; }});
}

struct AttentionShape {
  int64_t heads = 4, kv_heads = 4;
  Sequences queries = Sequences::equal(2, 5), keys = Sequences::equal(2, 5);
};

void add_attention(std::vector<Case>& all) {
  const auto add = [&](const std::string& name, const AttentionShape& s, AttentionSpec spec,
                       const ops::AttentionSegments& segments = {}) {
    spec.scale = 0.5f;
    const Input kv{{s.keys.rows(), s.kv_heads, 4}};
    all.push_back({"attention_" + name,
                   {{{s.queries.rows(), s.heads, 4}}, kv, kv},
                   [s, spec, segments](const Vars& v) -> Vars {
                     return {ops::attention(v[0], s.queries,
                                            ops::KeyValues::packed(v[1], v[2], s.keys), spec,
                                            {.segments = segments})};
                   }});
  };
  const auto few = [](int64_t queries, int64_t kv_heads = 4) {
    return AttentionShape{.kv_heads = kv_heads, .queries = Sequences::equal(2, queries)};
  };
  add("causal", {}, {});
  add("all_keys", few(3), {.causal = false});
  add("gqa", {.kv_heads = 2}, {});
  add("mqa", {.kv_heads = 1}, {});
  add("fewer_queries", few(2), {});
  add("one_query", few(1, 2), {});
  add("window", {.queries = Sequences::equal(2, 4), .keys = Sequences::equal(2, 6)}, {.window = 2});
  add("softcap", {}, {.softcap = 1.5f});
  add("dropout", {.kv_heads = 2}, {.dropout = 0.4f, .dropout_key = 99});
  const Tensor segments = indices({0, 0, 1, 1, 1, 5, 5, 5, 5, 6}, {10});
  add("segments", {}, {}, {segments, segments});
  add("segments_all_keys", few(3), {.causal = false}, {indices({0, 1, 1, 5, 6, 5}, {6}), segments});
  // Query segment 9 has no key at all: the output is zero, and so is its gradient.
  add("blind_query", few(3), {.causal = false}, {indices({0, 9, 1, 9, 6, 5}, {6}), segments});
  add("everything", few(4, 2), {.window = 3, .softcap = 2.0f, .dropout = 0.2f, .dropout_key = 5},
      {indices({0, 1, 1, 1, 5, 5, 5, 6}, {8}), segments});
  // A whole sequence, one that nothing asks of, an empty one, and one that decodes.
  const AttentionShape ragged{
      .kv_heads = 2, .queries = sequences({4, 0, 0, 1}), .keys = sequences({4, 2, 0, 5})};
  add("ragged", ragged, {});
  add("ragged_everything", ragged,
      {.window = 3, .softcap = 2.0f, .dropout = 0.2f, .dropout_key = 5},
      {indices({0, 1, 1, 1, 5}, {5}), indices({0, 0, 1, 1, 0, 0, 0, 0, 5, 5, 5}, {11})});
  add("ragged_all_keys", {.queries = sequences({3, 1}), .keys = sequences({0, 4})},
      {.causal = false});
}

// What attention takes beside q, k and v: `tables` are the inputs from the fourth on.
void add_attention_inputs(std::vector<Case>& all) {
  using Give = std::function<void(const Vars& tables, ops::AttentionInputs& inputs)>;
  const auto add = [&](const std::string& name, std::vector<Input> tables, AttentionSpec spec,
                       const Give& give) {
    spec.scale = 0.5f;
    std::vector<Input> inputs{{{8, 4, 4}}, {{10, 2, 4}}, {{10, 2, 3}}};
    inputs.insert(inputs.end(), tables.begin(), tables.end());
    all.push_back({"attention_" + name, inputs, [spec, give](const Vars& v) -> Vars {
                     ops::AttentionInputs in;
                     give({v.begin() + 3, v.end()}, in);
                     return {ops::attention(
                         v[0], Sequences::equal(2, 4),
                         ops::KeyValues::packed(v[1], v[2], Sequences::equal(2, 5)), spec, in)};
                   }});
  };
  const Input distances{{4, 4}, Kind::kGain}, sinks{{4}, Kind::kGain},
      shaw_keys{{5, 4}, Kind::kGain}, shaw_values{{3, 3}, Kind::kGain};
  add("prefix", {}, {.window = 2}, [](const Vars&, ops::AttentionInputs& in) {
    in.prefix = indices({3, 0}, {2});
  });
  add("distance_bias", {distances}, {}, [](const Vars& v, ops::AttentionInputs& in) {
    in.distance_bias = {v[0], 3};
  });
  add("sink_logits", {sinks}, {.window = 1, .sink_tokens = 1},
      [](const Vars& v, ops::AttentionInputs& in) { in.sink_logits = v[0]; });
  add("shaw_keys", {shaw_keys}, {.causal = false},
      [](const Vars& v, ops::AttentionInputs& in) { in.shaw_keys = v[0]; });
  add("all_tables", {distances, sinks, shaw_keys, shaw_values}, {.softcap = 3.0f},
      [](const Vars& v, ops::AttentionInputs& in) {
        in.distance_bias = {v[0], 2};
        in.sink_logits = v[1];
        in.shaw_keys = v[2];
        in.shaw_values = v[3];
      });
  for (const bool bidirectional : {false, true}) {
    const ops::BucketSpec buckets{.buckets = 8, .max_distance = 6, .bidirectional = bidirectional};
    const std::string name = bidirectional ? "bidirectional" : "causal";
    all.push_back({"distance_bias_from_buckets_" + name,
                   {{{8, 3}, Kind::kWeight}},
                   [buckets](const Vars& v) -> Vars {
                     return {ops::distance_bias_from_buckets(v[0], buckets).table};
                   }});
    add("buckets_" + name, {{{8, 4}, Kind::kWeight}}, {.causal = !bidirectional},
        [buckets](const Vars& v, ops::AttentionInputs& in) {
          in.distance_bias = ops::distance_bias_from_buckets(v[0], buckets);
        });
  }
}

void add_cross_entropy(std::vector<Case>& all) {
  const auto add = [&](const std::string& name, const std::vector<int32_t>& labels,
                       double normalizer, double z_loss = 0, double softcap = 0) {
    const auto rows = static_cast<int64_t>(labels.size());
    all.push_back({"cross_entropy_" + name,
                   {{{rows, 4}}, {{6, 4}, Kind::kWeight}},
                   [labels, normalizer, rows, z_loss, softcap](const Vars& v) -> Vars {
                     ops::OutputHead head(v[1]);
                     head.softcap = softcap;
                     return {
                         ops::linear_cross_entropy(v[0], head, indices(labels, {rows}),
                                                   {.normalizer = normalizer, .z_loss = z_loss})};
                   }});
  };
  add("plain", {0, 5, 3}, 0);
  add("ignored", {-1, 5, -100, 2}, 0);
  add("normalizer", {1, -1, 4}, 7.5);
  add("one_label", {-1, 3}, 0);
  add("z_loss", {0, -1, 5, 3}, 0, 0.3);
  add("z_loss_capped", {4, 2, -1}, 5, 0.1, 2.5);
}

void add_token_log_probs(std::vector<Case>& all) {
  const auto add = [&](const std::string& name, const std::vector<int32_t>& labels,
                       double temperature = 1, double softcap = 0) {
    const auto rows = static_cast<int64_t>(labels.size());
    all.push_back({"token_log_probs_" + name,
                   {{{rows, 4}}, {{6, 4}, Kind::kWeight}, {{6}, Kind::kGain}},
                   [labels, rows, temperature, softcap](const Vars& v) -> Vars {
                     ops::OutputHead head(v[1]);
                     head.bias = v[2];
                     head.softcap = softcap;
                     Var entropy;
                     const Var log_probs =
                         ops::token_log_probs(v[0], head, indices(labels, {rows}),
                                              {.temperature = temperature, .entropy = &entropy});
                     return {log_probs, entropy, ops::add(log_probs, entropy)};
                   }});
  };
  add("plain", {0, 5, 3});
  add("ignored", {-1, 5, -100, 2});
  add("temperature", {1, 4}, 0.6);
  add("capped", {4, 2, -1}, 1.5, 2.5);
}

void add_dots(std::vector<Case>& all) {
  // What stands before a dot is in the accumulation dtype, as losses are.
  all.push_back({"dot", {{{2, 3}, Kind::kGain}}, [](const Vars& v) -> Vars {
                   return {ops::dot(v[0], std::vector<double>{1, -2, 0, 0.5, 3, -0.25})};
                 }});
}

std::vector<Case> cases() {
  std::vector<Case> all;
  add_linear(all);
  add_elementwise(all);
  add_norms(all);
  add_convolutions(all);
  add_heads(all);
  add_channels(all);
  add_attention(all);
  add_attention_inputs(all);
  add_cross_entropy(all);
  add_token_log_probs(all);
  add_dots(all);
  return all;
}

class Operation : public ::testing::TestWithParam<Case> {};
TEST_P(Operation, HasTheGradientOfItsValue) { check_gradients(GetParam()); }
TEST_P(Operation, AddsItsGradients) { check_sums(GetParam()); }
TEST_P(Operation, AgreesOnTheCpu) { check_agreement(GetParam()); }
INSTANTIATE_TEST_SUITE_P(, Operation, ::testing::ValuesIn(cases()), case_name);

TEST(Dropout, KeepsTheMeanAndDrawsTheSameTwice) {
  const Tensor ones = tensor_of(Values(10000, 1.0), {100, 100}, DType::kF32, Device::kCpu);
  const Values a = ops::dropout(ones, 0.25, Rng(5)).value.to_vector();
  EXPECT_EQ(a, ops::dropout(ones, 0.25, Rng(5)).value.to_vector());
  EXPECT_NE(a, ops::dropout(ones, 0.25, Rng(6)).value.to_vector());
  double sum = 0;
  for (double x : a) {
    EXPECT_TRUE(x == 0 || std::abs(x - 4.0 / 3) < 1e-6) << x;
    sum += x;
  }
  EXPECT_NEAR(sum / 10000, 1.0, 0.03);
  EXPECT_TRUE(ops::dropout(ones, 0.0, Rng(5)).value.shares_storage(ones));
}

}  // namespace
}  // namespace lathe::testing
