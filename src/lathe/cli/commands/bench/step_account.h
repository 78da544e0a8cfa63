// Where the time of a training step goes, and the least time that each part could take.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lathe/kernels/account.h"

namespace lathe {

struct MachineLimits {
  std::map<DType, double> matrix_rate;  // FLOP/s, of the dtypes that are multiplied
  double read_bandwidth = 0;            // bytes per second
};

// Of one step; the numbers are means over the steps that were run.
struct StepRow {
  std::string kernel, shape;
  double calls = 0, flops = 0, bytes = 0, seconds = 0;
  double limit_seconds = 0;    // max(flops / matrix rate, bytes / read bandwidth)
  bool compute_bound = false;  // which of the two it is
};

struct StepAccount {
  MachineLimits limits;
  std::vector<StepRow> rows;   // longest first
  double seconds = 0;          // of the step, without own_seconds
  double outside_seconds = 0;  // outside kernels: tape, allocation, data loading, bookkeeping
  double own_seconds = 0;      // what the measurement added to a step, not in `seconds`

  double limit_seconds() const;  // of all kernels one after the other: the fastest possible step
};

// Calls `step` `steps` times (at least once), then measures the limits. The rows' seconds and
// outside_seconds add up to `seconds`.
StepAccount account_steps(int64_t steps, const std::function<void()>& step);

// A table of the `top` longest rows; the other rows are summed up in one more row.
std::string step_table(const StepAccount& account, int64_t top);
// {"rows": [...], "outside_ms": ..., "limit_ms": ..., ...}, with every row.
nlohmann::ordered_json step_facts(const StepAccount& account);

}  // namespace lathe
