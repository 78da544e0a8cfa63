#include "lathe/cli/commands/bench/step_account.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/kernels/machine.h"

namespace lathe {
namespace {

using kernels::AccountRow;
using Json = nlohmann::ordered_json;

constexpr std::string_view kOutside = "outside kernels";

// measure_matrix_rate() knows f32 and bf16; the reference computes the rest, far below either.
DType measured_type(DType t) { return t == DType::kBF16 ? DType::kBF16 : DType::kF32; }

MachineLimits limits_for(const std::vector<AccountRow>& rows) {
  MachineLimits limits;
  for (const AccountRow& r : rows) {
    const DType t = measured_type(r.dtype);
    if (r.work.flops > 0 && !limits.matrix_rate.contains(t))
      limits.matrix_rate[t] = kernels::measure_matrix_rate(t);
  }
  limits.read_bandwidth = kernels::measure_read_bandwidth();
  return limits;
}

StepRow row_of(const AccountRow& r, const MachineLimits& limits, double steps) {
  StepRow row{.kernel = r.kernel,
              .shape = r.shape,
              .calls = static_cast<double>(r.calls) / steps,
              .flops = r.work.flops / steps,
              .bytes = r.work.bytes / steps,
              .seconds = r.seconds / steps};
  const double memory = row.bytes / limits.read_bandwidth;
  const double compute =
      row.flops > 0 ? row.flops / limits.matrix_rate.at(measured_type(r.dtype)) : 0;
  row.compute_bound = compute > memory;
  row.limit_seconds = std::max(compute, memory);
  return row;
}

// A share of the step as eighths of twenty columns.
std::string bar(double share) {
  static constexpr const char* kParts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = static_cast<int>(std::clamp(share, 0.0, 1.0) * 160 + 0.5);
  std::string text;
  for (int i = 0; i < eighths / 8; ++i) text += "█";
  return text + kParts[eighths % 8];
}

std::string line_of(const StepRow& r, double step) {
  return fmt::format(
      "{:24} {:34} {:>6.4g} {:>9} {:>10} {:>9.2f} {:>9.2f} {:7} {:>4.0f} % {:>5.1f} % {}\n",
      r.kernel, r.shape, r.calls, r.flops > 0 ? fmt::format("{:.2f}", r.flops * 1e-9) : "",
      human_bytes(r.bytes), r.seconds * 1e3, r.limit_seconds * 1e3,
      r.compute_bound ? "compute" : "memory", 100 * r.limit_seconds / r.seconds,
      100 * r.seconds / step, bar(r.seconds / step));
}

// A part of the step that has no limit of its own.
std::string plain_line(const std::string& what, double seconds, double step) {
  return fmt::format("{:59} {:>6} {:>9} {:>10} {:>9.2f} {:>9} {:7} {:>6} {:>5.1f} % {}\n", what, "",
                     "", "", seconds * 1e3, "", "", "", 100 * seconds / step, bar(seconds / step));
}

std::string footer_of(const StepAccount& a) {
  const double limit = a.limit_seconds();
  std::string text =
      fmt::format("{:59} {:>6} {:>9} {:>10} {:>9.2f} {:>9.2f} {:7} {:>4.0f} %\n", "step", "", "",
                  "", a.seconds * 1e3, limit * 1e3, "", 100 * limit / a.seconds);
  text +=
      fmt::format("fastest possible step {:.1f} ms, {:.0f} % of it reached; limits:", limit * 1e3,
                  100 * limit / a.seconds);
  for (const auto& [dtype, rate] : a.limits.matrix_rate)
    text += fmt::format(" {} products {:.0f} GFLOP/s,", name_of(dtype), rate * 1e-9);
  return text + fmt::format(
                    " memory {:.1f} GB/s (data in cache can be faster)\n"
                    "the measurement itself took {:.1f} ms a step, which is subtracted\n",
                    a.limits.read_bandwidth * 1e-9, a.own_seconds * 1e3);
}

Json fact_of(const StepRow& r) {
  return {{"kernel", r.kernel},
          {"shape", r.shape},
          {"calls", r.calls},
          {"gflop", r.flops * 1e-9},
          {"mib", r.bytes / (1 << 20)},
          {"ms", r.seconds * 1e3},
          {"limit_ms", r.limit_seconds * 1e3},
          {"limit", r.compute_bound ? "compute" : "memory"}};
}

}  // namespace

double StepAccount::limit_seconds() const {
  double sum = 0;
  for (const StepRow& r : rows) sum += r.limit_seconds;
  return sum;
}

StepAccount account_steps(int64_t steps, const std::function<void()>& step) {
  require(steps >= 1, ErrorKind::kConfig, "bench step", "{} steps, expected at least 1", steps);
  kernels::Account kernels_of_steps;
  const auto start = std::chrono::steady_clock::now();
  {
    const kernels::AccountScope scope(kernels_of_steps);
    for (int64_t i = 0; i < steps; ++i) step();
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  const auto n = static_cast<double>(steps);
  const std::vector<AccountRow> recorded = kernels_of_steps.rows();
  StepAccount account;
  account.limits = limits_for(recorded);
  account.own_seconds = kernels_of_steps.own_seconds() / n;
  account.seconds = wall.count() / n - account.own_seconds;
  account.outside_seconds = account.seconds;
  for (const AccountRow& r : recorded) {
    account.rows.push_back(row_of(r, account.limits, n));
    account.outside_seconds -= account.rows.back().seconds;
  }
  std::ranges::sort(account.rows, std::ranges::greater(), &StepRow::seconds);
  return account;
}

std::string step_table(const StepAccount& a, int64_t top) {
  std::string text =
      fmt::format("{:24} {:34} {:>6} {:>9} {:>10} {:>9} {:>9} {:7} {:>6} {:>7}\n", "kernel",
                  "shape", "calls", "GFLOP", "bytes", "ms", "limit ms", "", "of it", "of step");
  double shorter = 0;
  int64_t hidden = 0;
  for (size_t i = 0; i < a.rows.size(); ++i) {
    if (static_cast<int64_t>(i) < top) {
      text += line_of(a.rows[i], a.seconds);
    } else {
      shorter += a.rows[i].seconds;
      ++hidden;
    }
  }
  if (hidden > 0) text += plain_line(fmt::format("{} shorter rows", hidden), shorter, a.seconds);
  text += plain_line(std::string(kOutside), a.outside_seconds, a.seconds);
  return text + footer_of(a);
}

Json step_facts(const StepAccount& a) {
  Json rows = Json::array(), rates = Json::object();
  for (const StepRow& r : a.rows) rows.push_back(fact_of(r));
  for (const auto& [dtype, rate] : a.limits.matrix_rate)
    rates[std::string(name_of(dtype))] = rate * 1e-9;
  return {{"rows", rows},
          {"outside_ms", a.outside_seconds * 1e3},
          {"limit_ms", a.limit_seconds() * 1e3},
          {"account_ms", a.own_seconds * 1e3},
          {"matrix_gflops", rates},
          {"read_gbps", a.limits.read_bandwidth * 1e-9}};
}

}  // namespace lathe
