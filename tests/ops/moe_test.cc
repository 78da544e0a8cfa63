// The operations of a mixture of experts: plans by hand, gradients and agreement through the
// harness.

#include "lathe/ops/moe.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "lathe/ops/moe_losses.h"
#include "lathe/ops/moe_routing.h"
#include "ops/harness.h"

namespace lathe::testing {
namespace {

using Vars = std::vector<Var>;
using Ids = std::vector<int32_t>;

Tensor indices(const Ids& values, const Shape& shape) { return Tensor::of<int32_t>(values, shape); }
Ids ids_of(const Tensor& t) {
  const auto s = t.span<int32_t>();
  return {s.begin(), s.end()};
}

// Six tokens, two choices each, four experts: the third gets none, one choice is dropped, and token
// 4 loses both.
ops::ExpertPlan plan() {
  return ops::plan_experts(indices({0, 1, 3, 0, 1, 0, 0, -1, -1, -1, 3, 1}, {6, 2}), 4);
}

TEST(ExpertPlan, SortsSlotsByExpertAndKeepsTheirOrder) {
  const ops::ExpertPlan p = plan();
  EXPECT_EQ(p.count, (std::vector<int64_t>{4, 3, 0, 2}));
  EXPECT_EQ(p.begin, (std::vector<int64_t>{0, 4, 7, 7, 9}));
  EXPECT_EQ(ids_of(p.token_of_row), (Ids{0, 1, 2, 3, 0, 2, 5, 1, 5}));
  EXPECT_EQ(ids_of(p.slot_of_row), (Ids{0, 3, 5, 6, 1, 4, 11, 2, 10}));
  EXPECT_EQ(ids_of(p.token_begin), (Ids{0, 2, 4, 6, 7, 7, 9}));
  EXPECT_EQ(ids_of(p.token_rows), (Ids{0, 4, 1, 7, 2, 5, 3, 6, 8}));
}

TEST(ExpertPlan, FillsUpToFewSizes) {
  EXPECT_EQ(ops::padded_rows(0), 0);
  EXPECT_EQ(ops::padded_rows(31), 31);
  EXPECT_EQ(ops::padded_rows(33), 34);
  EXPECT_EQ(ops::padded_rows(1024), 1024);
  EXPECT_EQ(ops::padded_rows(1025), 1088);
  int64_t sizes = 0;
  for (int64_t n = 1; n <= 4096; ++n) {
    const int64_t padded = ops::padded_rows(n);
    EXPECT_GE(padded, n);
    EXPECT_LE(16 * (padded - n), n);
    sizes += padded == n ? 1 : 0;
  }
  EXPECT_EQ(sizes, 31 + 16 * 7 + 1);
}

TEST(ExpertPlan, PaddingRowsBelongToNobody) {
  const ops::ExpertPlan p = ops::plan_experts(indices(Ids(37, 1), {37, 1}), 2);
  EXPECT_EQ(p.begin, (std::vector<int64_t>{0, 0, 38}));
  EXPECT_EQ(p.token_of_row.span<int32_t>()[37], -1);
  EXPECT_EQ(p.slot_of_row.span<int32_t>()[37], -1);
  EXPECT_EQ(p.token_rows.numel(), 37);
}

TEST(ExpertPlan, RefusesWhatIsOutOfRange) {
  EXPECT_THROW(ops::plan_experts(indices({4}, {1, 1}), 4), Error);
  EXPECT_THROW(ops::plan_experts(indices({-2}, {1, 1}), 4), Error);
}

TEST(TopK, LargestFirstAndTheLowerIndexAmongEquals) {
  const Values scores = {1, 3, 3, 2, 5, 5, 0, 5};
  const Tensor t = tensor_of(scores, {2, 4}, DType::kF32, Device::kCpu);
  EXPECT_EQ(ids_of(ops::top_k(t, 3)), (Ids{1, 2, 3, 0, 1, 3}));
  EXPECT_THROW(ops::top_k(t, 5), Error);
}

TEST(ExpertGroups, KeepOnlyTheBest) {
  const Values scores = {9, 0, 5, 5, 6, 1, 2, 2, 1, 8, 3, 4};
  const Tensor t = tensor_of(scores, {2, 6}, DType::kF64, Device::kRef);
  const double out = -std::numeric_limits<double>::infinity();
  const auto kept = [&](int64_t best) {
    return ops::limit_to_groups(t, {.count = 3, .kept = 1, .scored_by = best}).to_vector();
  };
  EXPECT_EQ(kept(1), (Values{9, 0, out, out, out, out, out, out, 1, 8, out, out}));
  EXPECT_EQ(kept(2), (Values{out, out, 5, 5, out, out, out, out, 1, 8, out, out}));
  EXPECT_THROW(kept(3), Error);
}

TEST(Capacity, CountsFirstChoicesOfAGroupBeforeSecondOnes) {
  const Tensor choices = indices({0, 1, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0}, {6, 2});
  const std::vector<int64_t> two{2, 2}, six{6};
  // Two groups of three rows. Expert 0 of the first: tokens 0, 1, then 2's second choice.
  EXPECT_EQ(ids_of(ops::drop_over_capacity(choices, 2, Sequences::equal(2, 3), two)),
            (Ids{0, 1, 0, -1, 1, -1, 0, -1, 1, 0, 1, -1}));
  EXPECT_EQ(ids_of(ops::drop_over_capacity(choices, 2, Sequences::equal(1, 6), six)),
            ids_of(choices));
}

Var experts(const Vars& v, const ops::ExpertPlan& p) {
  const Var h = ops::gated(kernels::find_activation("silu"),
                           ops::grouped_linear(ops::permute(v[0], p), v[1], v[2], p));
  return ops::combine(ops::grouped_linear(h, v[3], Var(), p), v[4], p, v[0].shape());
}

void add_experts(std::vector<Case>& all) {
  const Input x{{2, 3, 5}}, rows{{9, 5}};
  all.push_back(
      {"permute", {x}, [](const Vars& v) -> Vars { return {ops::permute(v[0], plan())}; }});
  all.push_back({"grouped_linear", {rows, {{16, 5}, Kind::kWeight}}, [](const Vars& v) -> Vars {
                   return {ops::grouped_linear(v[0], v[1], Var(), plan())};
                 }});
  all.push_back(
      {"grouped_linear_bias",
       {rows, {{16, 5}, Kind::kWeight}, {{16}, Kind::kGain}},
       [](const Vars& v) -> Vars { return {ops::grouped_linear(v[0], v[1], v[2], plan())}; }});
  all.push_back({"combine", {rows, {{6, 2}, Kind::kGain}}, [](const Vars& v) -> Vars {
                   return {ops::combine(v[0], v[1], plan(), {2, 3, 5})};
                 }});
  all.push_back({"scale_rows", {x, {{6, 1}, Kind::kGain}}, [](const Vars& v) -> Vars {
                   return {ops::scale_rows(v[0], v[1])};
                 }});
  const std::vector<Input> layer = {x,
                                    {{24, 5}, Kind::kWeight},
                                    {{24}, Kind::kGain},
                                    {{20, 3}, Kind::kWeight},
                                    {{6, 2}, Kind::kGain}};
  all.push_back({"experts", layer, [](const Vars& v) -> Vars { return {experts(v, plan())}; }});
  // Enough tokens for one expert that its rows are filled up.
  all.push_back({"experts_padded",
                 {{{35, 2}},
                  {{8, 2}, Kind::kWeight},
                  {{8}, Kind::kGain},
                  {{4, 2}, Kind::kWeight},
                  {{35, 1}, Kind::kGain}},
                 [](const Vars& v) -> Vars {
                   return {experts(v, ops::plan_experts(indices(Ids(35, 1), {35, 1}), 2))};
                 }});
}

void add_routing(std::vector<Case>& all) {
  const Input scores{{5, 4}, Kind::kGain};
  const Tensor choices = indices({0, 3, 1, 2, 3, 0, 2, 1, 3, 2}, {5, 2});
  const Tensor some = indices({-1, 3, 1, -1, 3, 0, -1, -1, 3, 2}, {5, 2});
  all.push_back({"cast", {{{2, 3}}}, [](const Vars& v) -> Vars {
                   return {ops::cast(v[0], wide(v[0].value.dtype()))};
                 }});
  all.push_back({"jitter", {{{3, 5}}}, [](const Vars& v) -> Vars {
                   return {ops::jitter(v[0], 0.4, Rng(3))};
                 }});
  all.push_back({"router_logits",
                 {{{2, 3, 5}}, {{4, 5}, Kind::kGain}, {{4}, Kind::kGain}},
                 [](const Vars& v) -> Vars { return {ops::router_logits(v[0], v[1], v[2])}; }});
  all.push_back({"softmax", {scores}, [](const Vars& v) -> Vars { return {ops::softmax(v[0])}; }});
  all.push_back({"share_of_sum", {scores}, [](const Vars& v) -> Vars {
                   return {ops::share_of_sum(ops::softmax(v[0]))};
                 }});
  all.push_back({"gates_of_some", {scores}, [=](const Vars& v) -> Vars {
                   return {ops::gates(ops::softmax(v[0]), some, {.normalize = true, .eps = 0.1})};
                 }});
  for (const bool normalize : {false, true})
    all.push_back({normalize ? "gates_normalised" : "gates", {scores}, [=](const Vars& v) -> Vars {
                     return {ops::gates(ops::softmax(v[0]), choices,
                                        {.normalize = normalize, .eps = 0.1, .scale = 2.5})};
                   }});
  const std::vector<std::vector<int64_t>> grouped = {{5}, {1, 1, 1, 1, 1}, {1, 4}, {3, 2}};
  for (const std::vector<int64_t>& lengths : grouped)
    all.push_back({fmt::format("balance_loss_groups_of_{}", fmt::join(lengths, "_")),
                   {scores},
                   [=](const Vars& v) -> Vars {
                     return {ops::balance_loss(ops::softmax(v[0]), choices, Sequences(lengths))};
                   }});
  all.push_back({"router_z_loss", {scores}, [](const Vars& v) -> Vars {
                   return {ops::router_z_loss(v[0])};
                 }});
}

std::vector<Case> cases() {
  std::vector<Case> all;
  add_experts(all);
  add_routing(all);
  return all;
}

class MoeOperation : public ::testing::TestWithParam<Case> {};
TEST_P(MoeOperation, GradientsAreCentralDifferences) { check_gradients(GetParam()); }
TEST_P(MoeOperation, GradientsAddUp) { check_sums(GetParam()); }
TEST_P(MoeOperation, AgreesWithTheSpecification) { check_agreement(GetParam()); }
INSTANTIATE_TEST_SUITE_P(, MoeOperation, ::testing::ValuesIn(cases()), case_name);

TEST(GroupedLinear, AnExpertWithoutTokensGetsAZeroGradientAndOthersAreAddedTo) {
  const ops::ExpertPlan p = plan();
  const Tensor x = Tensor::zeros({9, 2}, DType::kF32), w = Tensor::zeros({4, 2}, DType::kF32);
  std::ranges::fill(x.span<float>(), 1.0f);
  GradBuffer buffer{Tensor::zeros({4, 2}, DType::kF32), false};
  std::ranges::fill(buffer.tensor.span<float>(), std::nanf(""));  // stale
  for (const double times : {1.0, 2.0}) {
    Tape tape;
    const Var y = ops::grouped_linear(Var(x), tape.leaf(w, &buffer), Var(), p);
    const Tensor dy = Tensor::zeros(y.shape(), DType::kF32);
    std::ranges::fill(dy.span<float>(), 1.0f);
    tape.backward(y, dy);
    EXPECT_EQ(buffer.tensor.to_vector(),
              (Values{4 * times, 4 * times, 3 * times, 3 * times, 0, 0, 2 * times, 2 * times}));
  }
}

TEST(MoeOperations, RefuseOperandsThatDoNotFit) {
  const auto f32 = [](const Shape& s) { return Var(Tensor::zeros(s, DType::kF32)); };
  const ops::ExpertPlan p = plan();
  const std::vector<std::pair<std::function<void()>, std::string>> refusals = {
      {[&] {
         ops::permute(f32({5, 2}), p);
       },
       "[permute] x [5, 2] has 5 tokens, the plan 6"},
      {[&] {
         ops::grouped_linear(f32({8, 2}), f32({4, 2}), Var(), p);
       },
       "[grouped_linear] x is [8, 2], the plan has 9 rows"},
      {[&] {
         ops::grouped_linear(f32({9, 2}), f32({6, 2}), Var(), p);
       },
       "[grouped_linear] x [9, 2] does not fit a weight [6, 2] of 4 experts"},
      {[&] {
         ops::combine(f32({9, 2}), f32({6, 1}), p, {6, 2});
       },
       "[combine] 6 gates, expected 12"},
      {[&] {
         ops::combine(f32({9, 2}), f32({6, 2}), p, {5, 2});
       },
       "[combine] rows [9, 2] of 6 tokens do not make [5, 2]"},
      {[&] {
         ops::scale_rows(f32({3, 2}), f32({2, 1}));
       },
       "[scale_rows] 2 gates, expected 3"},
      {[&] {
         ops::gates(f32({2, 3}), indices({3, 0}, {2, 1}), {});
       },
       "[gates] expert 3 of 3"},
      {[&] {
         ops::softmax(Tensor::zeros({2, 3}, DType::kBF16));
       },
       "[softmax] scores is bfloat16, expected float32"},
      {[&] { ops::attach_loss(f32({2}), f32({2}), 1.0); }, "[attach_loss] the loss has shape [2]"},
  };
  for (const auto& [call, message] : refusals) {
    try {
      call();
      ADD_FAILURE() << "accepted; expected " << message;
    } catch (const Error& e) {
      EXPECT_EQ(e.what(), message);
    }
  }
}

TEST(Losses, HaveTheValuesOfTheirFormulas) {
  const Tensor p = tensor_of({0.5, 0.3, 0.2, 0.1, 0.6, 0.3}, {2, 3}, DType::kF64, Device::kRef);
  const Tensor choices = indices({0, 1, 1, 2}, {2, 2});
  // f = (1/2, 1, 1/2), P = (0.3, 0.45, 0.25)
  EXPECT_NEAR(ops::balance_loss(p, choices, Sequences::equal(1, 2)).value.item(),
              3 * (0.15 + 0.45 + 0.125), 1e-14);
  // Each row by itself: f = (1, 1, 0) and (0, 1, 1).
  EXPECT_NEAR(ops::balance_loss(p, choices, Sequences::equal(2, 1)).value.item(),
              3 * (0.8 + 0.9) / 2, 1e-14);
  const Tensor logits = tensor_of({1, 2, 0, -1}, {2, 2}, DType::kF64, Device::kRef);
  const double a = std::log(std::exp(1.0) + std::exp(2.0)), b = std::log(1.0 + std::exp(-1.0));
  EXPECT_NEAR(ops::router_z_loss(logits).value.item(), (a * a + b * b) / 2, 1e-14);
}

TEST(AttachLoss, AddsItsCoefficientToTheGradient) {
  const Tensor x = tensor_of({1, 2}, {2}, DType::kF64, Device::kRef);
  const Tensor logits = tensor_of({1, 2, 0, -1}, {2, 2}, DType::kF64, Device::kRef);
  Tape alone;
  const Var leaf = alone.leaf(logits);
  alone.backward(ops::router_z_loss(leaf), 0.25);
  Tape tape;
  const Var in = tape.leaf(x), scores = tape.leaf(logits);
  const Var y = ops::attach_loss(in, ops::router_z_loss(scores), 0.25);
  EXPECT_EQ(y.value.to_vector(), x.to_vector());
  tape.backward(y, x);
  EXPECT_EQ(tape.grad(in).to_vector(), x.to_vector());
  EXPECT_EQ(tape.grad(scores).to_vector(), alone.grad(leaf).to_vector());
}

TEST(AttachLoss, WorksInsideCheckpoint) {
  const Tensor x = tensor_of({1, 2, 0, -1}, {2, 2}, DType::kF64, Device::kRef);
  const auto body = [](const Var& in, Tape*) {
    return ops::attach_loss(ops::add(in, in), ops::router_z_loss(in), 0.5);
  };
  Tape plain, recomputing;
  const Var a = plain.leaf(x), b = recomputing.leaf(x);
  plain.backward(body(a, nullptr), x);
  recomputing.backward(checkpoint(&recomputing, b, body), x);
  EXPECT_EQ(plain.grad(a).to_vector(), recomputing.grad(b).to_vector());
  EXPECT_NE(plain.grad(a).to_vector(), (Values{2, 4, 0, -2}));
}

TEST(Jitter, StaysInItsRangeAndRepeats) {
  const Tensor ones = Tensor::zeros({1000}, DType::kF32);
  std::ranges::fill(ones.span<float>(), 1.0f);
  const Values a = ops::jitter(ones, 0.1, Rng(5)).value.to_vector();
  EXPECT_EQ(a, ops::jitter(ones, 0.1, Rng(5)).value.to_vector());
  EXPECT_NE(a, ops::jitter(ones, 0.1, Rng(6)).value.to_vector());
  const auto [low, high] = std::pair(std::ranges::min(a), std::ranges::max(a));
  EXPECT_GE(low, 0.9);
  EXPECT_LT(high, 1.1);
  EXPECT_NEAR(std::accumulate(a.begin(), a.end(), 0.0) / 1000, 1.0, 0.01);
}

}  // namespace
}  // namespace lathe::testing
