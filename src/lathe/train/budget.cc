#include "lathe/train/budget.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "lathe/base/error.h"

namespace lathe {

Budget parse_budget(std::string_view text) {
  struct Unit {
    std::string_view name;
    Budget::Unit unit;
  };
  constexpr Unit kUnits[] = {{"step", Budget::Unit::kSteps},
                             {"token", Budget::Unit::kTokens},
                             {"epoch", Budget::Unit::kEpochs},
                             {"hour", Budget::Unit::kHours}};
  constexpr std::string_view kThousands[] = {"kK", "M", "GB", "T"};
  Budget budget;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), budget.amount);
  std::string_view rest = text.substr(static_cast<size_t>(parsed.ptr - text.data()));
  for (size_t power = 0; power < std::size(kThousands); ++power)
    if (!rest.empty() && kThousands[power].find(rest.front()) != std::string_view::npos) {
      budget.amount *= std::pow(1000.0, static_cast<double>(power) + 1);
      rest.remove_prefix(1);
      break;
    }
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  if (rest.ends_with('s')) rest.remove_suffix(1);
  const auto unit = std::ranges::find(kUnits, rest, &Unit::name);
  require(parsed.ec == std::errc() && unit != std::end(kUnits) && budget.amount > 0 &&
              budget.amount < 1e18,
          ErrorKind::kConfig, "train.budget",
          "'{}' is not understood, expected a number followed by steps, tokens, epochs or hours, "
          "as in \"300M tokens\"",
          text);
  budget.unit = unit->unit;
  return budget;
}

int64_t micro_batches(const TrainConfig& c, int64_t step) {
  if (step >= c.batch_ramp) return c.grad_accumulation;
  return (c.grad_accumulation * step + c.batch_ramp - 1) / c.batch_ramp;
}

int64_t micro_batches_before(const TrainConfig& c, int64_t step) {
  const int64_t ramp = std::min(step, c.batch_ramp);
  int64_t all = 0;
  for (int64_t s = 1; s < ramp; ++s) all += micro_batches(c, s);
  return all + c.grad_accumulation * (step - std::max<int64_t>(1, ramp));
}

int64_t steps_for_samples(const TrainConfig& c, double samples) {
  int64_t step = 0;
  double taken = 0;
  while (taken < samples && step < c.batch_ramp)
    taken += static_cast<double>(micro_batches(c, ++step) * c.batch_size);
  if (taken >= samples) return std::max<int64_t>(step, 1);
  const double each = static_cast<double>(c.grad_accumulation * c.batch_size);
  return step +
         std::max<int64_t>(1, static_cast<int64_t>(std::ceil((samples - taken) / each - 1e-9)));
}

int64_t steps_of(const Budget& budget, const TrainConfig& c, int64_t samples_per_epoch) {
  switch (budget.unit) {
    case Budget::Unit::kTokens:
      return steps_for_samples(c, budget.amount / static_cast<double>(c.seq_len));
    case Budget::Unit::kEpochs:
      return steps_for_samples(c, budget.amount * static_cast<double>(samples_per_epoch));
    case Budget::Unit::kSteps:
      return std::max<int64_t>(1, std::llround(budget.amount));
    case Budget::Unit::kHours:
      break;
  }
  fail(ErrorKind::kConfig, "train.budget", "hours are measured, not counted in steps");
}

}  // namespace lathe
