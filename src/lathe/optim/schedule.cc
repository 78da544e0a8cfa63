#include "lathe/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lathe/base/catalogue.h"

namespace lathe {
namespace {

double ratio(int64_t a, int64_t b) { return static_cast<double>(a) / static_cast<double>(b); }

// How far between the end of the warm-up and the end of the run. Only called after the warm-up, so
// that warmup < step <= steps.
double progress(const ScheduleTime& t) { return ratio(t.step - t.warmup, t.steps - t.warmup); }

double cosine(const ScheduleConfig& c, const ScheduleTime& t) {
  const double m = c.min_lr_ratio;
  return m + (1 - m) * 0.5 * (1 + std::cos(std::numbers::pi * progress(t)));
}

double linear(const ScheduleConfig& c, const ScheduleTime& t) {
  return 1 - (1 - c.min_lr_ratio) * progress(t);
}

double wsd(const ScheduleConfig& c, const ScheduleTime& t) {
  const int64_t decay = std::llround(c.decay_fraction * static_cast<double>(t.steps));
  const int64_t start = std::max(t.steps - decay, t.warmup);
  if (t.step <= start) return 1;
  const double y = ratio(t.step - start, t.steps - start);
  return 1 - (1 - c.min_lr_ratio) * (c.decay_shape == "1-sqrt" ? std::sqrt(y) : y);
}

double inverse_sqrt(const ScheduleConfig&, const ScheduleTime& t) {
  return std::sqrt(ratio(std::max<int64_t>(t.warmup, 1), t.step));
}

double constant(const ScheduleConfig&, const ScheduleTime&) { return 1; }

constexpr ScheduleInfo kTable[] = {
    {"cosine", "half a cosine from the peak to min_lr_ratio",
     "Loshchilov & Hutter 2017, arXiv:1608.03983", cosine},
    {"linear", "a straight line from the peak to min_lr_ratio",
     "Devlin et al. 2019, arXiv:1810.04805", linear},
    {"wsd", "warm-up, stable, then a decay over the last part of the run",
     "Hu et al. 2024, arXiv:2404.06395; Hägele et al. 2024, arXiv:2405.18392", wsd},
    {"inverse_sqrt",
     "falls with the inverse square root of the step; does not depend on the number of steps",
     "Vaswani et al. 2017, arXiv:1706.03762", inverse_sqrt},
    {"constant", "the peak throughout", "-", constant},
};

}  // namespace

const std::span<const ScheduleInfo> kSchedules = kTable;

std::vector<std::string> schedule_names() { return names_of(kTable); }

const ScheduleInfo& find_schedule(std::string_view name) {
  return find_in(kTable, "schedule.name", name);
}

int64_t ScheduleConfig::warmup(int64_t n) const {
  return warmup_ratio ? std::llround(*warmup_ratio * static_cast<double>(n)) : warmup_steps;
}

double learning_rate(const ScheduleConfig& config, double peak, int64_t step, int64_t steps) {
  const ScheduleInfo& schedule = find_schedule(config.name);
  require(step >= 1 && steps >= 1, ErrorKind::kConfig, "schedule",
          "step {} of {}, expected both to be at least 1", step, steps);
  const int64_t s = std::min(step, steps), warmup = config.warmup(steps);
  if (s <= warmup) return peak * ratio(s, warmup);
  return peak * schedule.factor(config, {s, steps, warmup});
}

}  // namespace lathe
