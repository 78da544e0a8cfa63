#include "lathe/ops/moe_plan.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

constexpr std::string_view kWhere = "expert plan";

void check(const Tensor& experts_of_token, int64_t experts) {
  require(experts_of_token.rank() == 2, ErrorKind::kShape, kWhere, "choices are {}, expected [N,k]",
          experts_of_token.shape());
  const int64_t slots = experts_of_token.numel();
  require(slots + slots / 16 < std::numeric_limits<int32_t>::max(), ErrorKind::kShape, kWhere,
          "{} slots are too many for 32-bit indices; use smaller micro-batches", slots);
  for (int32_t e : experts_of_token.span<int32_t>())
    require(e >= -1 && e < experts, ErrorKind::kShape, kWhere, "a slot names expert {} of {}", e,
            experts);
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

ExpertPlan plan_experts(const Tensor& experts_of_token, int64_t experts) {
  check(experts_of_token, experts);
  const auto expert_of_slot = experts_of_token.span<int32_t>();
  ExpertPlan plan;
  plan.tokens = experts_of_token.size(0);
  plan.slots = experts_of_token.numel();
  plan.count.assign(static_cast<size_t>(experts), 0);
  for (int32_t e : expert_of_slot)
    if (e >= 0) ++plan.count[static_cast<size_t>(e)];
  plan.begin.assign(1, 0);
  for (int64_t count : plan.count) plan.begin.push_back(plan.begin.back() + padded_rows(count));
  plan.token_of_row = filled(plan.rows(), -1);
  plan.slot_of_row = filled(plan.rows(), -1);
  std::vector<int64_t> next(plan.begin.begin(), plan.begin.end() - 1);
  for (int64_t s = 0; s < plan.slots; ++s) {
    const int32_t e = expert_of_slot[static_cast<size_t>(s)];
    if (e < 0) continue;
    const int64_t row = next[static_cast<size_t>(e)]++;
    plan.token_of_row.data<int32_t>()[row] = static_cast<int32_t>(s / experts_of_token.size(1));
    plan.slot_of_row.data<int32_t>()[row] = static_cast<int32_t>(s);
  }
  list_by_token(plan, std::accumulate(plan.count.begin(), plan.count.end(), int64_t{0}));
  return plan;
}

}  // namespace lathe::ops
