// The learning rate as a function of the step: the [schedule] section of a recipe and its
// catalogue.
//
// With s the step counted from 1, N = the schedule's steps, W = warmup_steps or warmup_ratio · N,
// and m = min_lr_ratio, the warm-up is the same for all: lr · s / W for s <= W. Afterwards, with
// x = (s − W) / (N − W) and, over the last D = round(decay_fraction · N) steps,
// y = (s − (N − D)) / D:
//
//   cosine         lr · (m + (1−m)·½·(1 + cos(π·x)))
//   linear         lr · (1 − (1−m)·x)
//   wsd            lr, then lr · (1 − (1−m)·y); with decay_shape "1-sqrt", √y in place of y
//   inverse_sqrt   lr · √(max(W, 1) / s); m does not apply
//   constant       lr
//
// The papers stand in kSchedules. Steps after N keep the value of step N. W >= N is a run of
// warm-up alone; a wsd decay that would begin during the warm-up begins after it. Pure functions,
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/config/visit.h"

namespace lathe {

std::vector<std::string> schedule_names();

struct ScheduleConfig {
  std::string name = "cosine";
  int64_t warmup_steps = 0;
  double min_lr_ratio = 0.1;
  double decay_fraction = 0.2;
  std::string decay_shape = "linear";

  std::optional<int64_t> steps;
  std::optional<double> warmup_ratio;

  // How many steps the schedule spans in a run of `run_steps`.
  int64_t span(int64_t run_steps) const { return steps.value_or(run_steps); }
  // W for a schedule of N steps.
  int64_t warmup(int64_t n) const;

  template <class V>
  void visit(V& v) {
    const auto rates = when_resumed(OnResume::kContinues);
    const auto part = between(0, 1).when_resumed(OnResume::kContinues);
    v.choice("name", name, schedule_names(), "how the learning rate changes after the warm-up",
             rates);
    v.field(
        "warmup_ratio", warmup_ratio,
        "share of the schedule's steps over which the learning rate grows to its peak; in place "
        "of warmup_steps",
        part);
    if (!warmup_ratio)
      v.field("warmup_steps", warmup_steps, "steps over which the learning rate grows to its peak",
              at_least(0).when_resumed(OnResume::kContinues));
    v.field("min_lr_ratio", min_lr_ratio, "last learning rate over the peak (cosine, linear, wsd)",
            part);
    v.field("decay_fraction", decay_fraction, "part of the schedule that decays (wsd)", part);
    v.choice("decay_shape", decay_shape, {"linear", "1-sqrt"}, "how it decays (wsd)", rates);
    v.field(
        "steps", steps,
        "steps that the schedule is made for; default train.steps. When it is larger, the run ends "
        "before the learning rate has fallen and can be made longer later",
        at_least(1).when_resumed(OnResume::kContinues));
  }
};

struct ScheduleTime {
  int64_t step;    // counted from 1, after the warm-up, at most `steps`
  int64_t steps;   // of the whole schedule
  int64_t warmup;  // steps of it that warm up
};

struct ScheduleInfo {
  std::string_view name, summary, source;
  // Learning rate over its peak, for steps after the warm-up.
  double (*factor)(const ScheduleConfig& config, const ScheduleTime& time);
};

extern const std::span<const ScheduleInfo> kSchedules;

// By recipe name; Error kConfig with the nearest name and the list when there is none such.
const ScheduleInfo& find_schedule(std::string_view name);

// The learning rate of `step` (from 1) in a run of `steps`. Error kConfig for steps < 1 or step
// < 1.
double learning_rate(const ScheduleConfig& config, double peak, int64_t step, int64_t steps);

}  // namespace lathe
