#include "lathe/ops/moe_plan.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

constexpr std::string_view kWhere = "expert plan";

void check(int64_t tokens, int64_t experts, const Slots& slots) {
  require(slots.expert.size() == slots.token.size(), ErrorKind::kShape, kWhere,
          "{} experts for {} slots", slots.expert.size(), slots.token.size());
  require(static_cast<int64_t>(slots.expert.size()) + 32 * experts <
              std::numeric_limits<int32_t>::max(),
          ErrorKind::kShape, kWhere,
          "{} slots are more than 32-bit indices reach; use smaller "
          "micro-batches",
          slots.expert.size());
  for (size_t s = 0; s < slots.expert.size(); ++s)
    require(slots.expert[s] >= -1 && slots.expert[s] < experts && slots.token[s] >= 0 &&
                slots.token[s] < tokens,
            ErrorKind::kShape, kWhere, "slot {} sends token {} of {} to expert {} of {}", s,
            slots.token[s], tokens, slots.expert[s], experts);
}

Tensor filled(int64_t size, int32_t value) {
  Tensor t({size}, DType::kI32);
  std::ranges::fill(t.span<int32_t>(), value);
  return t;
}

// The rows in the order of their tokens; rows of one token stay in the order of experts.
void list_by_token(ExpertPlan& plan, int64_t filled_slots) {
  plan.token_begin = filled(plan.tokens + 1, 0);
  plan.token_rows = Tensor({filled_slots}, DType::kI32);
  int32_t* begin = plan.token_begin.data<int32_t>();
  const auto token_of_row = plan.token_of_row.span<int32_t>();
  for (int32_t n : token_of_row)
    if (n >= 0) ++begin[n + 1];
  std::partial_sum(begin, begin + plan.tokens + 1, begin);
  std::vector<int32_t> next(begin, begin + plan.tokens);
  for (size_t r = 0; r < token_of_row.size(); ++r)
    if (const int32_t n = token_of_row[r]; n >= 0)
      plan.token_rows.data<int32_t>()[next[static_cast<size_t>(n)]++] = static_cast<int32_t>(r);
}

}  // namespace

int64_t padded_rows(int64_t count) {
  constexpr int kStepBits = 4;  // 16 sizes per power of two
  if (count < (2 << kStepBits)) return count;
  const int64_t step = int64_t{1} << (std::bit_width(static_cast<uint64_t>(count)) - 1 - kStepBits);
  return (count + step - 1) / step * step;
}

ExpertPlan plan_experts(int64_t tokens, int64_t experts, const Slots& slots) {
  check(tokens, experts, slots);
  ExpertPlan plan;
  plan.tokens = tokens;
  plan.slots = static_cast<int64_t>(slots.expert.size());
  plan.count.assign(static_cast<size_t>(experts), 0);
  for (int32_t e : slots.expert)
    if (e >= 0) ++plan.count[static_cast<size_t>(e)];
  plan.begin.assign(1, 0);
  for (int64_t count : plan.count) plan.begin.push_back(plan.begin.back() + padded_rows(count));
  plan.token_of_row = filled(plan.rows(), -1);
  plan.slot_of_row = filled(plan.rows(), -1);
  std::vector<int64_t> next(plan.begin.begin(), plan.begin.end() - 1);
  int64_t filled_slots = 0;
  for (size_t s = 0; s < slots.expert.size(); ++s) {
    if (slots.expert[s] < 0) continue;
    const int64_t row = next[static_cast<size_t>(slots.expert[s])]++;
    plan.token_of_row.data<int32_t>()[row] = slots.token[s];
    plan.slot_of_row.data<int32_t>()[row] = static_cast<int32_t>(s);
    ++filled_slots;
  }
  list_by_token(plan, filled_slots);
  return plan;
}

ExpertPlan plan_token_choice(const Tensor& experts_of_token, int64_t experts) {
  const int64_t tokens = experts_of_token.size(0), choices = experts_of_token.size(1);
  std::vector<int32_t> token(static_cast<size_t>(tokens * choices));
  for (size_t s = 0; s < token.size(); ++s)
    token[s] = static_cast<int32_t>(static_cast<int64_t>(s) / choices);
  return plan_experts(tokens, experts, {experts_of_token.span<int32_t>(), token});
}

ExpertPlan plan_expert_choice(const Tensor& tokens_of_expert, int64_t tokens) {
  const int64_t experts = tokens_of_expert.size(0), each = tokens_of_expert.size(1);
  std::vector<int32_t> expert(static_cast<size_t>(experts * each));
  for (size_t s = 0; s < expert.size(); ++s)
    expert[s] = static_cast<int32_t>(static_cast<int64_t>(s) / each);
  return plan_experts(tokens, experts, {expert, tokens_of_expert.span<int32_t>()});
}

}  // namespace lathe::ops
