// Operations on several sequences at once: paged keys, groups of any size, and what is refused.
#include "io/temp_folder.h"
#include "lathe/ops/attention.h"
#include "lathe/ops/depthwise_conv.h"
#include "lathe/ops/moe_losses.h"
#include "lathe/ops/moe_routing.h"
#include "lathe/tensor/int8_rows.h"
#include "ops/harness.h"

namespace lathe::testing {
namespace {

using Ids = std::vector<int32_t>;
using Lengths = std::vector<int64_t>;

Sequences sequences(const Lengths& lengths) { return Sequences(lengths); }
Tensor indices(const Ids& values, const Shape& shape) { return Tensor::of<int32_t>(values, shape); }
Ids ids_of(const Tensor& t) {
  const auto s = t.span<int32_t>();
  return {s.begin(), s.end()};
}
Tensor normal(const Shape& shape, uint64_t seed, const Place& place) {
  return tensor_of(random_values(shape.numel(), Rng(seed)), shape, place.dtype, place.device);
}
const Place kPlaces[] = {kSpecification, {DType::kF32, Device::kCpu}, {DType::kBF16, Device::kCpu}};

// Row s of x at rows[s] of `count`; the others are NaN.
Tensor placed(const Tensor& x, const Ids& rows, int64_t count) {
  const int64_t width = x.numel() / x.size(0);
  Values to(static_cast<size_t>(count * width), std::nan(""));
  const Values from = x.to_vector();
  for (size_t s = 0; s < rows.size(); ++s)
    std::copy_n(from.begin() + static_cast<int64_t>(s) * width, width,
                to.begin() + rows[s] * width);
  return tensor_of(to, x.shape().with(0, count), x.dtype(), x.device());
}

// Sequences of 5 and 3 keys in pages of two: where each key lies.
const Ids kRowOfKey = {4, 5, 0, 1, 2, 6, 7, 3};
const Tensor kPages = indices({4, 0, 2, 6, 3, 0}, {2, 3});

struct Attended {
  Values out, dq, dk, dv;
};
Attended attend(const Tensor& q, const ops::KeyValues& kv) {
  Tape tape;
  const Var query = tape.leaf(q);
  const ops::KeyValues leaves{tape.leaf(kv.k.value), tape.leaf(kv.v.value), kv.keys, kv.blocks,
                              kv.block_size};
  const Var y = ops::attention(query, sequences({2, 1}), leaves, {.scale = 0.5f}, {});
  backward_of(tape, y);
  return {y.value.to_vector(), tape.grad(query).to_vector(), tape.grad(leaves.k).to_vector(),
          tape.grad(leaves.v).to_vector()};
}

TEST(PagedAttention, EqualsThatOfPackedKeys) {
  for (const Place& place : kPlaces) {
    const Tensor q = normal({3, 4, 8}, 1, place), k = normal({8, 2, 8}, 2, place),
                 v = normal({8, 2, 8}, 3, place);
    const Sequences keys = sequences({5, 3});
    const Attended packed = attend(q, ops::KeyValues::packed(k, v, keys));
    const Attended paged =
        attend(q, {placed(k, kRowOfKey, 8), placed(v, kRowOfKey, 8), keys, kPages, 2});
    EXPECT_EQ(paged.out, packed.out);
    EXPECT_EQ(paged.dq, packed.dq);
    const auto in_pages = [&](const Values& rows) {
      return placed(tensor_of(rows, k.shape(), DType::kF64, Device::kCpu), kRowOfKey, 8)
          .to_vector();
    };
    EXPECT_EQ(paged.dk, in_pages(packed.dk));
    EXPECT_EQ(paged.dv, in_pages(packed.dv));
  }
}

// A cache: more rows than keys, a table that is part of a wider one, and no gradient but that of q.
TEST(PagedAttention, ReadsOnlyTheKeysOfACache) {
  const Tensor wide_table = indices({4, 0, 2, 99, 6, 3, -1, 99}, {2, 4});
  for (const Place& place : kPlaces) {
    const Tensor q = normal({3, 4, 8}, 1, place), k = normal({8, 2, 8}, 2, place),
                 v = normal({8, 2, 8}, 3, place);
    const Sequences keys = sequences({5, 3}), queries = sequences({2, 1});
    const Attended want = attend(q, ops::KeyValues::packed(k, v, keys));
    Tape tape;
    const Var query = tape.leaf(q);
    const Var y = ops::attention(
        query, queries,
        {placed(k, kRowOfKey, 11), placed(v, kRowOfKey, 11), keys, wide_table.narrow(1, 0, 3), 2},
        {.scale = 0.5f}, {});
    backward_of(tape, y);
    EXPECT_EQ(y.value.to_vector(), want.out);
    EXPECT_EQ(tape.grad(query).to_vector(), want.dq);
  }
}

TEST(Attention, OfNoSequenceIsEmpty) {
  const Tensor none({0, 2, 4}, DType::kF32);
  for (const Sequences& s : {Sequences(), sequences({}), sequences({0, 0})})
    EXPECT_EQ(ops::attention(none, s, ops::KeyValues::packed(none, none, s), {}, {}).shape(),
              none.shape());
}

struct Refusal {
  ErrorKind kind;
  std::string message;
  std::function<void()> call;
};
void check(const std::vector<Refusal>& refusals) {
  for (const Refusal& r : refusals) {
    try {
      r.call();
      ADD_FAILURE() << "accepted; expected " << r.message;
    } catch (const Error& e) {
      EXPECT_EQ(e.what(), r.message);
      EXPECT_EQ(e.kind(), r.kind) << e.what();
    }
  }
}

Var f32(const Shape& shape) { return Tensor::zeros(shape, DType::kF32); }

// Sequences of 2 and 1 queries, 3 and 2 keys in seven rows.
void attend_blocks(const Tensor& blocks, int64_t block_size) {
  ops::attention(f32({3, 2, 4}), sequences({2, 1}),
                 {f32({7, 2, 4}), f32({7, 2, 4}), sequences({3, 2}), blocks, block_size}, {}, {});
}

TEST(PagedAttention, RefusesBlocksThatDoNotFit) {
  const Tensor good = indices({0, 2, 4, 6}, {2, 2});
  EXPECT_NO_THROW(attend_blocks(good, 2));
  EXPECT_NO_THROW(attend_blocks(indices({4, 5}, {2, 1}), 5));
  const auto kind = ErrorKind::kShape;
  check({
      {kind, "[attention] blocks of 0 tokens, expected i32 [2, n]",
       [&] { attend_blocks(good, 0); }},
      {kind, "[attention] blocks of 2 tokens, expected i32 [2, n]",
       [&] { attend_blocks(Tensor(), 2); }},
      {kind, "[attention] blocks of 2 tokens, expected i32 [2, n]",
       [&] {
         attend_blocks(Tensor::zeros({2, 2}, DType::kF32), 2);
       }},
      {kind, "[attention] blocks of 2 tokens, expected i32 [2, n]",
       [&] {
         attend_blocks(indices({0, 2, 4, 6}, {4}), 2);
       }},
      {kind, "[attention] blocks of 2 tokens, expected i32 [2, n]",
       [&] {
         attend_blocks(indices({0, 2, 4}, {3, 1}), 2);
       }},
      {kind, "[attention] blocks of 2 tokens, expected i32 [2, n]",
       [&] { attend_blocks(good.transpose(0, 1), 2); }},
      {kind, "[attention] sequence 0 has 3 keys, but 1 blocks of 2",
       [&] {
         attend_blocks(indices({0, 2}, {2, 1}), 2);
       }},
      {kind, "[attention] block 1 of sequence 0 is rows 7 to 8, but there are 7",
       [&] {
         attend_blocks(indices({0, 7, 4, 6}, {2, 2}), 2);
       }},
      {kind, "[attention] block 0 of sequence 1 is rows 6 to 8, but there are 7",
       [&] {
         attend_blocks(indices({0, 2, 6, 6}, {2, 2}), 2);
       }},
      {kind, "[attention] block 0 of sequence 1 is rows -1 to 1, but there are 7",
       [&] {
         attend_blocks(indices({0, 2, -1, 6}, {2, 2}), 2);
       }},
  });
}

// Keys and values that a cache keeps in a smaller type.
TEST(PagedAttention, TakesKeysInASmallerType) {
  const Tensor q = normal({3, 4, 8}, 1, kPlaces[1]), k = normal({5, 2, 8}, 2, kPlaces[1]),
               v = normal({5, 2, 8}, 3, kPlaces[1]);
  const Sequences queries = sequences({3}), keys = sequences({5});
  const auto attended = [&](const ops::KeyValues& kv) {
    return ops::attention(Var(q), queries, kv, {.scale = 0.5f}, {}).value.to_vector();
  };
  const Values want = attended(ops::KeyValues::packed(Var(k), Var(v), keys));
  ops::KeyValues int8 = ops::KeyValues::packed(Var(Tensor(k.shape(), DType::kI8)),
                                               Var(Tensor(v.shape(), DType::kI8)), keys);
  int8.k_scales = Tensor({5, 2}, DType::kF32), int8.v_scales = Tensor({5, 2}, DType::kF32);
  quantize_rows(k, int8.k.value, int8.k_scales);
  quantize_rows(v, int8.v.value, int8.v_scales);
  const auto bf16 = ops::KeyValues::packed(Var(k.to(DType::kBF16)), Var(v.to(DType::kBF16)), keys);
  for (const auto& kv : {int8, bf16}) {
    const Values got = attended(kv);
    double most = 0;
    for (size_t i = 0; i < want.size(); ++i) most = std::max(most, std::abs(got[i] - want[i]));
    EXPECT_LT(most, 0.05);
    EXPECT_GT(most, 0);
  }
  const auto without_scales = ops::KeyValues::packed(int8.k, int8.v, keys);
  const auto mixed = ops::KeyValues::packed(Var(k), Var(v.to(DType::kBF16)), keys);
  auto with_scales = ops::KeyValues::packed(Var(k), Var(v), keys);
  with_scales.k_scales = int8.k_scales;
  auto short_of_scales = int8;
  short_of_scales.v_scales = Tensor({4, 2}, DType::kF32);
  Tape tape;
  const auto kind = ErrorKind::kShape;
  check({
      {kind, "[attention] keys of int8 without key scales; int8 has them and no other type",
       [&] { attended(without_scales); }},
      {kind, "[attention] keys of float32 with key scales; int8 has them and no other type",
       [&] { attended(with_scales); }},
      {kind, "[attention] value scales has shape [4, 2], expected [5, 2]",
       [&] { attended(short_of_scales); }},
      {kind,
       "[attention] q is float32, k float32 and v bfloat16: expected k and v of q's type, or both "
       "bfloat16 or int8",
       [&] { attended(mixed); }},
      {kind,
       "[attention] k and v are int8 for a q of float32, through which no gradient goes; record a "
       "pass without a cache",
       [&] { ops::attention(tape.leaf(q), queries, int8, {}, {}); }},
  });
}

void attend_sequences(const Lengths& queries, const Lengths& keys,
                      const kernels::AttentionSpec& spec = {},
                      const ops::AttentionInputs& inputs = {}) {
  ops::attention(f32({3, 2, 4}), sequences(queries),
                 ops::KeyValues::packed(f32({5, 2, 4}), f32({5, 2, 4}), sequences(keys)), spec,
                 inputs);
}

TEST(Attention, RefusesSequencesThatDoNotFit) {
  EXPECT_NO_THROW(attend_sequences({2, 1}, {3, 2}));
  const auto kind = ErrorKind::kShape;
  const kernels::AttentionSpec all{.causal = false};
  check({
      {kind, "[attention] q [3, 2, 4] and keys of 2 sequences, expected 4 rows of 2 sequences",
       [] {
         attend_sequences({2, 2}, {3, 2});
       }},
      {kind, "[attention] q [3, 2, 4] and keys of 1 sequences, expected 3 rows of 2 sequences",
       [] {
         attend_sequences({2, 1}, {5});
       }},
      {kind, "[attention] block 0 of sequence 1 is rows 3 to 6, but there are 5",
       [] {
         attend_sequences({2, 1}, {3, 3});
       }},
      {kind, "[attention] 2 queries but only 1 keys under a causal mask",
       [] {
         attend_sequences({1, 2}, {4, 1});
       }},
      {kind, "[attention] key bias has shape [2, 3], expected [2, at least 4]",
       [] {
         attend_sequences({1, 2}, {1, 4}, {}, {.key_bias = f32({2, 3}).value});
       }},
      {kind, "[attention] key segments has shape [3], expected [5]",
       [] {
         attend_sequences({1, 2}, {1, 4}, {},
                          {.segments = {indices({0, 0, 0}, {3}), indices({0, 0, 0}, {3})}});
       }},
      {kind, "[attention] prefix has shape [3], expected [2]",
       [] {
         attend_sequences({1, 2}, {1, 4}, {}, {.prefix = indices({0, 0, 0}, {3})});
       }},
      {ErrorKind::kConfig,
       "[attention] a block-sparse pattern needs a causal mask; use a window instead",
       [] {
         attend_sequences(
             {1, 2}, {1, 4},
             {.causal = false, .pattern = {.kind = kernels::BlockPattern::Kind::kStrided}});
       }},
  });
  EXPECT_NO_THROW(attend_sequences({1, 2}, {4, 1}, all)) << "no mask, no past";
}

// Sequences of one query each.
void attend_with_gradient(int64_t rows, const Lengths& keys, const Ids& blocks, bool of_k) {
  Tape tape;
  const Var q = f32({2, 1, 4}), x = f32({rows, 1, 4}),
            leaf = tape.leaf(Tensor::zeros({rows, 1, 4}, DType::kF32));
  const ops::KeyValues kv{of_k ? leaf : x, of_k ? x : leaf, sequences(keys),
                          indices(blocks, {2, 1}), 4};
  ops::attention(q, sequences({1, 1}), kv, {}, {});
}

TEST(Attention, RefusesAGradientOfRowsThatAreNotAllKeys) {
  EXPECT_NO_THROW(attend_with_gradient(5, {3, 2}, {2, 0}, true));
  const auto message = [](int keys, int rows) {
    return fmt::format(
        "[attention] {} keys in the {} rows of k and v, which have a gradient; expected every row "
        "to be one key of one sequence",
        keys, rows);
  };
  const auto kind = ErrorKind::kShape;
  for (const bool of_k : {true, false})
    check({{kind, message(5, 6),
            [&] {
              attend_with_gradient(6, {3, 2}, {2, 0}, of_k);
            }},
           // As many keys as rows, but some are both sequences' and one is nobody's.
           {kind, message(5, 5),
            [&] {
              attend_with_gradient(5, {3, 2}, {1, 2}, of_k);
            }},
           {kind, message(6, 3), [&] {
              attend_with_gradient(3, {3, 3}, {0, 0}, of_k);
            }}});
}

TEST(DepthwiseConv, RefusesSequencesThatDoNotFit) {
  const auto convolve = [](const Lengths& outputs, const Lengths& inputs, int64_t height = 0) {
    ops::depthwise_conv(f32({5, 2}), f32({height > 0 ? 1 : 3, 2}), Var(),
                        {.outputs = sequences(outputs),
                         .inputs = sequences(inputs),
                         .grid_height = height,
                         .grid_width = 2});
  };
  EXPECT_NO_THROW(convolve({1, 2}, {2, 3}));
  const auto kind = ErrorKind::kShape;
  check({{kind, "[depthwise_conv] [5, 2] is not [6,F], the inputs of 2 sequences",
          [&] {
            convolve({1, 2}, {3, 3});
          }},
         {kind, "[depthwise_conv] [5, 2] is not [5,F], the inputs of 1 sequences",
          [&] {
            convolve({3}, {2, 3});
          }},
         {kind, "[depthwise_conv] 3 outputs of 2 tokens",
          [&] {
            convolve({1, 3}, {3, 2});
          }},
         {kind, "[depthwise_conv] 3 tokens, but a grid of 1 × 2; the numbers must be equal", [&] {
            convolve({2, 3}, {2, 3}, 1);
          }}});
}

// Choices of 3 of 4 experts by seven tokens.
const Ids kChoices = {0, 1, 2, 0, 2, 3, 0, 1, 3, 1, 0, 2, 0, 3, 1, 2, 0, 1, 3, 0, 2};

TEST(Capacity, OfAGroupDoesNotDependOnTheOthers) {
  const Tensor choices = indices(kChoices, {7, 3});
  const Lengths lengths = {3, 0, 1, 3}, capacities = {1, 5, 2, 2};
  const Ids got = ids_of(ops::drop_over_capacity(choices, 4, sequences(lengths), capacities));
  Ids want;
  int64_t first = 0;
  for (size_t g = 0; g < lengths.size(); first += lengths[g++]) {
    if (lengths[g] == 0) continue;
    const Ids mine = ids_of(ops::drop_over_capacity(
        choices.narrow(0, first, lengths[g]), 4, sequences({lengths[g]}), Lengths{capacities[g]}));
    want.insert(want.end(), mine.begin(), mine.end());
  }
  EXPECT_EQ(got, want);
  // By hand: each expert takes one token of the first group, first choices before second ones.
  EXPECT_EQ(Ids(got.begin(), got.begin() + 9), (Ids{0, 1, -1, -1, 2, 3, -1, -1, -1}));
}

TEST(Capacity, RefusesGroupsThatAreNotTheRows) {
  const Tensor choices = indices(kChoices, {7, 3});
  const auto drop = [&](const Lengths& groups, const Lengths& capacities) {
    ops::drop_over_capacity(choices, 4, sequences(groups), capacities);
  };
  check({{ErrorKind::kShape, "[capacity] 7 tokens and 2 capacities for groups of 6 in all",
          [&] {
            drop({3, 3}, {1, 1});
          }},
         {ErrorKind::kShape, "[capacity] 7 tokens and 1 capacities for groups of 7 in all", [&] {
            drop({3, 4}, {1});
          }}});
}

TEST(BalanceLoss, IsTheMeanOverGroups) {
  const Tensor choices = indices(kChoices, {7, 3});
  const Lengths lengths = {3, 1, 3};
  const Tensor p = normal({7, 4}, 5, kSpecification);
  const auto loss = [&](Tape& tape, const Tensor& rows, const Tensor& chosen, const Lengths& of) {
    const Var leaf = tape.leaf(rows);
    const Var y = ops::balance_loss(leaf, chosen, sequences(of));
    tape.backward(y);
    return std::pair(y.value.item(), tape.grad(leaf).to_vector());
  };
  Tape tape;
  const auto [value, gradient] = loss(tape, p, choices, lengths);
  double mean = 0;
  Values gradients;
  int64_t first = 0;
  for (const int64_t n : lengths) {
    Tape alone;
    const auto [v, g] =
        loss(alone, p.narrow(0, first, n).clone(), choices.narrow(0, first, n).clone(), {n});
    mean += v / 3;
    for (const double x : g) gradients.push_back(x / 3);
    first += n;
  }
  EXPECT_NEAR(value, mean, 1e-14);
  EXPECT_LE(error_of(gradient, gradients), 1e-14);
}

TEST(BalanceLoss, RefusesGroupsThatAreNotTheRows) {
  const Tensor choices = indices(kChoices, {7, 3});
  const auto loss = [&](const Lengths& groups) {
    ops::balance_loss(f32({7, 4}), choices, sequences(groups));
  };
  check({{ErrorKind::kShape,
          "[balance_loss] probabilities [7, 4], choices [7, 3], groups of 6 rows in all",
          [&] {
            loss({3, 3});
          }},
         {ErrorKind::kShape, "[balance_loss] group 1 is empty, expected at least one row in each",
          [&] {
            loss({3, 0, 4});
          }}});
}

}  // namespace
}  // namespace lathe::testing
