// Operands that do not fit: every refusal with its message.

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/ops/attention.h"
#include "lathe/ops/attention_bias.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/ops/depthwise_conv.h"
#include "lathe/ops/dot.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/embedding.h"
#include "lathe/ops/linear.h"
#include "lathe/ops/norm.h"
#include "lathe/ops/token_divergence.h"
#include "lathe/ops/token_log_probs.h"

namespace lathe {
namespace {

Tensor f32(const Shape& shape) { return Tensor::zeros(shape, DType::kF32); }
Tensor i32(const std::vector<int32_t>& values, const Shape& shape) {
  return Tensor::of<int32_t>(values, shape);
}

Sequences one(int64_t length) { return Sequences::equal(1, length); }

struct Refusal {
  std::string name;
  std::function<void()> call;
  std::string message;
};
std::ostream& operator<<(std::ostream& out, const Refusal& r) { return out << r.name; }

const kernels::ActivationId kAny{};
const ops::RopeTables kTables{f32({4, 2}), f32({4, 2})};

using Pattern = kernels::BlockPattern::Kind;

ops::AttentionInputs biased(const Tensor& table) {
  ops::AttentionInputs inputs;
  inputs.distance_bias.table = table;
  return inputs;
}

// Two heads of width 4, two queries, three keys.
void attend(const ops::AttentionInputs& inputs, const kernels::AttentionSpec& spec = {}) {
  ops::attention(f32({2, 2, 4}), one(2),
                 ops::KeyValues::packed(f32({3, 2, 4}), f32({3, 2, 4}), one(3)), spec, inputs);
}

std::vector<Refusal> linear_refusals() {
  return {
      {"linear_width",
       [] {
         ops::linear(f32({2, 3}), f32({4, 5}), Var());
       },
       "[linear] x [2, 3] does not fit a weight [4, 5]"},
      {"linear_dtype",
       [] {
         ops::linear(Tensor::zeros({2, 3}, DType::kBF16), f32({4, 3}), Var());
       },
       "[linear] weight is float32, expected bfloat16"},
      {"linear_bias",
       [] {
         ops::linear(f32({2, 3}), f32({4, 3}), f32({3}));
       },
       "[linear] bias has shape [3], expected [4]"},
  };
}

std::vector<Refusal> elementwise_refusals() {
  return {
      {"add_shape",
       [] {
         ops::add(f32({2, 3}), f32({3, 2}));
       },
       "[add] second operand has shape [3, 2], expected [2, 3]"},
      {"add_dtype", [] { ops::add(f32({2}), Tensor::zeros({2}, DType::kBF16)); },
       "[add] second operand is bfloat16, expected float32"},
      {"gated_odd",
       [] {
         ops::gated(kAny, f32({2, 3}));
       },
       "[gated] last dimension of [2, 3] is not even"},
      {"dropout_probability", [] { ops::dropout(f32({2}), 1.0, Rng(1)); },
       "[dropout] probability 1 is not in [0, 1)"},
  };
}

std::vector<Refusal> norm_refusals() {
  return {
      {"rms_norm_weight",
       [] {
         ops::rms_norm(f32({2, 3}), f32({2}), Var(), 1e-5);
       },
       "[rms_norm] weight has shape [2], expected [3]"},
      {"layer_norm_bias",
       [] {
         ops::layer_norm(f32({2, 3}), f32({3}), f32({4}), 1e-5);
       },
       "[layer_norm] bias has shape [4], expected [3]"},
  };
}

// Of a sequence of four inputs.
ops::DepthwiseConv conv(int64_t outputs, int64_t height = 0, int64_t width = 0) {
  return {.outputs = one(outputs), .inputs = one(4), .grid_height = height, .grid_width = width};
}

std::vector<Refusal> depthwise_conv_refusals() {
  return {
      {"depthwise_conv_weight",
       [] {
         ops::depthwise_conv(f32({4, 3}), f32({3, 2}), Var(), conv(4));
       },
       "[depthwise_conv] weight has shape [3, 2], expected [taps, 3]"},
      {"depthwise_conv_outputs",
       [] {
         ops::depthwise_conv(f32({4, 3}), f32({3, 3}), Var(), conv(5));
       },
       "[depthwise_conv] 5 outputs of 4 tokens"},
      {"depthwise_conv_grid",
       [] {
         ops::depthwise_conv(f32({4, 3}), f32({9, 3}), Var(), conv(4, 2, 3));
       },
       "[depthwise_conv] 4 tokens, but a grid of 2 × 3; the numbers must be equal"},
      {"depthwise_conv_taps",
       [] {
         ops::depthwise_conv(f32({4, 3}), f32({4, 3}), Var(), conv(4, 2, 2));
       },
       "[depthwise_conv] 4 taps are not the square of an odd number; use 1, 9, 25 …"},
      {"depthwise_conv_segments",
       [] {
         ops::depthwise_conv(
             f32({4, 3}), f32({3, 3}), Var(),
             {.outputs = one(4), .inputs = one(4), .segments = {i32({0, 0, 0, 0}, {4}), Tensor()}});
       },
       "[depthwise_conv] segments are needed for both outputs and inputs; give both or none"},
  };
}

std::vector<Refusal> embedding_refusals() {
  return {
      {"embedding_table", [] { ops::embedding(f32({3}), i32({0}, {1})); },
       "[embedding] table has shape [3]"},
      {"embedding_above",
       [] {
         ops::embedding(f32({3, 2}), i32({0, 3}, {2}));
       },
       "[embedding] id 3 is outside the table of 3 rows; the tokenizer and the model must belong "
       "together"},
      {"embedding_negative",
       [] {
         ops::embedding(f32({3, 2}), i32({-1}, {1}));
       },
       "[embedding] id -1 is outside the table of 3 rows; the tokenizer and the model must belong "
       "together"},
      {"embedding_float",
       [] {
         ops::embedding(f32({3, 2}), f32({2}));
       },
       "[embedding] ids is float32, expected int32"},
  };
}

std::vector<Refusal> heads_refusals() {
  return {
      {"split_heads",
       [] {
         ops::split_heads(f32({2, 10}), {2, 1, 1});
       },
       "[split_heads] [2, 10] cannot be cut into 4 heads"},
      {"split_heads_rank",
       [] {
         ops::split_heads(f32({1, 2, 8}), {2, 1, 1});
       },
       "[split_heads] [1, 2, 8] cannot be cut into 4 heads"},
      {"split_heads_of_one_kind",
       [] {
         ops::split_heads(f32({2, 10}), 4);
       },
       "[split_heads] [2, 10] cannot be cut into 4 heads"},
      {"merge_heads",
       [] {
         ops::merge_heads(f32({2, 3}));
       },
       "[merge_heads] [2, 3] is not [N,H,D]"},
  };
}

std::vector<Refusal> rope_refusals() {
  return {
      {"rope_rank",
       [] {
         ops::rope(f32({2, 3}), kTables, i32({0, 0}, {2}), {});
       },
       "[rope] [2, 3] is not [N,H,D]"},
      {"rope_width",
       [] {
         ops::rope(f32({1, 1, 2}), kTables, i32({0}, {1}), {});
       },
       "[rope] tables [4, 2] do not fit heads of width 2"},
      {"rope_positions",
       [] {
         ops::rope(f32({2, 1, 4}), kTables, i32({0}, {1}), {});
       },
       "[rope] positions has shape [1], expected [2]"},
      {"rope_far",
       [] {
         ops::rope(f32({1, 1, 4}), kTables, i32({4}, {1}), {});
       },
       "[rope] position 4 is outside the 4 prepared; raise max_position_embeddings"},
  };
}

void attend_packed(const Var& q, const Sequences& queries, const Var& kv, const Sequences& keys,
                   const ops::AttentionInputs& inputs = {}) {
  ops::attention(q, queries, ops::KeyValues::packed(kv, kv, keys), {}, inputs);
}

std::vector<Refusal> attention_mask_refusals() {
  return {
      {"attention_heads",
       [] {
         attend_packed(f32({2, 3, 4}), one(2), f32({2, 2, 4}), one(2));
       },
       "[attention] q [2, 3, 4], k [2, 2, 4], v [2, 2, 4] do not fit: expected [N,H,D], [R,K,D], "
       "[R,K,Dv]"},
      {"attention_no_past",
       [] {
         attend_packed(f32({3, 2, 4}), one(3), f32({2, 2, 4}), one(2));
       },
       "[attention] 3 queries but only 2 keys under a causal mask"},
      {"attention_segments",
       [] {
         attend_packed(f32({2, 1, 4}), one(2), f32({2, 1, 4}), one(2),
                       {.segments = {i32({0, 0}, {2}), i32({0}, {1})}});
       },
       "[attention] key segments has shape [1], expected [2]"},
      {"attention_half_segments",
       [] {
         attend_packed(f32({2, 1, 4}), one(2), f32({2, 1, 4}), one(2),
                       {.segments = {i32({0, 0}, {2}), {}}});
       },
       "[attention] segments of the queries without those of the keys"},
      {"attention_sink_query",
       [] {
         attend({.sink_query = f32({2, 2, 3})}, {.window = 2, .sink_tokens = 1});
       },
       "[attention] queries of sink tokens has shape [2, 2, 3], expected [2, 2, 4]"},
      {"attention_sink_query_without_window",
       [] {
         attend({.sink_query = f32({2, 2, 4})}, {.sink_tokens = 1});
       },
       "[attention] queries of sink tokens need a causal window with sink tokens, and can be "
       "combined neither with Shaw's tables nor with a backward pass"},
      {"attention_sink_query_shaw",
       [] {
         attend({.shaw_keys = Var(f32({3, 4})), .sink_query = f32({2, 2, 4})},
                {.window = 2, .sink_tokens = 1});
       },
       "[attention] queries of sink tokens need a causal window with sink tokens, and can be "
       "combined neither with Shaw's tables nor with a backward pass"},
      {"attention_prefix",
       [] {
         attend({.prefix = i32({0, 0}, {2})});
       },
       "[attention] prefix has shape [2], expected [1]"},
      {"attention_prefix_dtype", [] { attend({.prefix = f32({1})}); },
       "[attention] prefix is float32, expected int32"},
      {"attention_pattern_full",
       [] { attend({}, {.causal = false, .pattern = {.kind = Pattern::kFixed}}); },
       "[attention] a block-sparse pattern needs a causal mask; use a window instead"},
      {"attention_pattern",
       [] { attend({}, {.pattern = {.kind = Pattern::kFixed, .stride = 2, .summary = 3}}); },
       "[attention] pattern of block 1, stride 2, local 1, summary 3: all must be at least 1, and "
       "the summary at most the stride"},
  };
}

std::vector<Refusal> attention_table_refusals() {
  return {
      {"attention_distance_bias",
       [] {
         attend(biased(f32({3, 5})));
       },
       "[attention] distance bias has shape [3, 5], expected [2, R], R at least 1"},
      {"attention_distance_dtype",
       [] {
         attend(biased(Tensor::zeros({2, 5}, DType::kBF16)));
       },
       "[attention] distance bias is bfloat16, expected float32"},
      {"attention_key_bias",
       [] {
         attend({.key_bias = f32({2, 2})});
       },
       "[attention] key bias has shape [2, 2], expected [2, at least 3]"},
      {"attention_sinks", [] { attend({.sink_logits = f32({1})}); },
       "[attention] sink logits has shape [1], expected [2]"},
      {"attention_shaw_even",
       [] {
         attend({.shaw_keys = f32({4, 4})});
       },
       "[attention] shaw keys has shape [4, 4], expected [2w+1, 4]"},
      {"attention_shaw_width",
       [] {
         attend({.shaw_values = f32({3, 5})});
       },
       "[attention] shaw values has shape [3, 5], expected [2w+1, 4]"},
  };
}

std::vector<Refusal> attention_bias_refusals() {
  return {
      {"buckets_rows",
       [] {
         ops::distance_bias_from_buckets(f32({8, 2}), {.buckets = 32});
       },
       "[distance_bias_from_buckets] weight [8, 2] has 8 rows for 32 buckets"},
      {"buckets_few",
       [] {
         ops::distance_bias_from_buckets(f32({8, 2}), {.buckets = 8, .max_distance = 2});
       },
       "[distance_bias_from_buckets] 8 buckets up to a distance of 2: expected at least 4 and more "
       "than 2"},
      {"alibi_heads", [] { ops::alibi_bias(0, 4, f32({1})); },
       "[alibi_bias] 0 heads over 4 distances: both must be at least 1"},
  };
}

std::vector<Refusal> cross_entropy_refusals() {
  return {
      {"cross_entropy_width",
       [] {
         ops::linear_cross_entropy(f32({2, 3}), Var(f32({5, 4})), i32({0, 0}, {2}));
       },
       "[cross_entropy] hidden [2, 3] does not fit a head [5, 4]"},
      {"cross_entropy_count",
       [] {
         ops::linear_cross_entropy(f32({2, 3}), Var(f32({5, 3})), i32({0, 0, 0}, {3}));
       },
       "[cross_entropy] 3 labels for 2 rows"},
      {"cross_entropy_label",
       [] {
         ops::linear_cross_entropy(f32({2, 3}), Var(f32({5, 3})), i32({0, 5}, {2}));
       },
       "[cross_entropy] label 5 is outside the vocabulary of 5; the data and the model must use "
       "one tokenizer"},
      {"cross_entropy_nothing",
       [] {
         ops::linear_cross_entropy(f32({2, 3}), Var(f32({5, 3})), i32({-1, -100}, {2}));
       },
       "[cross_entropy] no label counts: all 2 are ignored"},
      {"cross_entropy_labels",
       [] {
         ops::linear_cross_entropy(f32({2, 3}), Var(f32({5, 3})), f32({2}));
       },
       "[cross_entropy] labels is float32, expected int32"},
  };
}

// Two rows of width 3, five tokens.
void log_probs(const Tensor& labels, const ops::TokenLogProbsOptions& options = {}) {
  ops::token_log_probs(f32({2, 3}), Var(f32({5, 3})), labels, options);
}

std::vector<Refusal> token_log_probs_refusals() {
  return {
      {"token_log_probs_count",
       [] {
         log_probs(i32({0, 0, 0}, {3}));
       },
       "[token_log_probs] 3 labels for 2 rows"},
      {"token_log_probs_label",
       [] {
         log_probs(i32({0, 5}, {2}));
       },
       "[token_log_probs] label 5 is outside the vocabulary of 5; the data and the model must use "
       "one tokenizer"},
      {"token_log_probs_temperature",
       [] {
         log_probs(i32({0, 1}, {2}), {.temperature = 0});
       },
       "[token_log_probs] the temperature is 0, expected a finite number above 0"},
      {"token_log_probs_top",
       [] {
         ops::TopTokens top{.k = 6};
         log_probs(i32({0, 1}, {2}), {.top = &top});
       },
       "[token_log_probs] the 6 most likely tokens were requested, expected 1 to 5"},
      {"token_log_probs_bias",
       [] {
         ops::OutputHead head(f32({5, 3}));
         head.bias = f32({3});
         ops::token_log_probs(f32({2, 3}), head, i32({0, 1}, {2}));
       },
       "[token_log_probs] bias has shape [3], expected [5]"},
  };
}

void diverge(const Shape& hidden, const Shape& head, const Shape& teacher,
             const Shape& teacher_head, const ops::Divergence& divergence = {}) {
  ops::token_divergence(f32(hidden), Var(f32(head)), f32(teacher), Var(f32(teacher_head)),
                        divergence);
}

std::vector<Refusal> token_divergence_refusals() {
  return {
      {"token_divergence_vocabulary",
       [] {
         diverge({2, 3}, {5, 3}, {2, 4}, {6, 4});
       },
       "[token_divergence] the model has 5 tokens and the teacher 6"},
      {"token_divergence_rows",
       [] {
         diverge({2, 3}, {5, 3}, {3, 4}, {5, 4});
       },
       "[token_divergence] hidden states [2, 3] and the teacher's [3, 4] do not belong together"},
      {"token_divergence_rank",
       [] {
         diverge({2, 3}, {5, 3}, {1, 2, 4}, {5, 4});
       },
       "[token_divergence] hidden states [2, 3] and the teacher's [1, 2, 4] do not belong together"},
      {"token_divergence_head",
       [] {
         diverge({2, 3}, {5, 4}, {2, 4}, {5, 4});
       },
       "[output_head] hidden [2, 3] does not fit a head [5, 4]"},
      {"token_divergence_teacher_head",
       [] {
         diverge({2, 3}, {5, 3}, {2, 4}, {5, 3});
       },
       "[output_head] hidden [2, 4] does not fit a head [5, 3]"},
      {"token_divergence_bias",
       [] {
         ops::OutputHead teacher(f32({5, 3}));
         teacher.bias = f32({4});
         ops::token_divergence(f32({2, 3}), Var(f32({5, 3})), f32({2, 3}), teacher, {});
       },
       "[output_head] bias has shape [4], expected [5]"},
      {"token_divergence_temperature",
       [] {
         diverge({2, 3}, {5, 3}, {2, 4}, {5, 4}, {.temperature = 0});
       },
       "[token_divergence] the temperature is 0, expected a finite number above 0"},
      {"token_divergence_weight",
       [] {
         diverge({2, 3}, {5, 3}, {2, 4}, {5, 4}, {.beta = 1});
       },
       "[token_divergence] the teacher's weight is 1, expected a number between 0 and 1"},
  };
}

std::vector<Refusal> rows_refusals() {
  static const std::vector<double> three = {1, 2, 3};
  return {
      {"dot_count",
       [] {
         ops::dot(f32({2, 2}), three);
       },
       "[dot] 3 weights for [2, 2]"},
      {"dot_dtype", [] { ops::dot(Tensor::zeros({3}, DType::kBF16), three); },
       "[dot] x is bfloat16, expected float32 or float64"},
  };
}

std::vector<Refusal> refusals() {
  std::vector<Refusal> all;
  for (const auto& of_operation :
       {linear_refusals(), elementwise_refusals(), norm_refusals(), depthwise_conv_refusals(),
        embedding_refusals(), heads_refusals(), rope_refusals(), attention_mask_refusals(),
        attention_table_refusals(), attention_bias_refusals(), cross_entropy_refusals(),
        token_log_probs_refusals(), token_divergence_refusals(), rows_refusals()})
    all.insert(all.end(), of_operation.begin(), of_operation.end());
  return all;
}

class Misfit : public ::testing::TestWithParam<Refusal> {};
TEST_P(Misfit, IsRefused) { EXPECT_EQ(error_text(GetParam().call), GetParam().message); }
INSTANTIATE_TEST_SUITE_P(, Misfit, ::testing::ValuesIn(refusals()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace lathe
