#include "lathe/cli/commands/demo/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "lathe/base/parallel.h"
#include "lathe/base/process.h"
#include "lathe/kernels/machine.h"

namespace lathe {

double expected_matrix_rate() {
  const std::string_view level = kernels::cpu_kernels().level;
  const double per_cycle = level.starts_with("avx512") || level.starts_with("amx") ? 32 : 16;
  return static_cast<double>(thread_count()) * processor_hertz() * per_cycle;
}

MachineLoad measure_load() {
  constexpr int kTries = 4;
  MachineLoad load;
  for (int i = 0; i < kTries; ++i) {
    const double rate = kernels::measure_matrix_rate(DType::kF32);
    load.best = std::max(load.best, rate);
    load.worst = i == 0 ? rate : std::min(load.worst, rate);
  }
  load.expected = expected_matrix_rate();
  load.load = load_average();
  load.cores = processor_count();
  return load;
}

std::optional<std::string> why_busy(const MachineLoad& m) {
  constexpr double kFarBelow = 0.25, kUneven = 0.6, kCrowded = 1.3;
  if (m.expected > 0 && m.worst < kFarBelow * m.expected)
    return fmt::format(
        "it multiplies matrices at {:.0f} GFLOP/s, but should reach about {:.0f} when idle",
        m.worst * 1e-9, m.expected * 1e-9);
  if (m.worst < kUneven * m.best)
    return fmt::format("the same matrix product ran at {:.0f} GFLOP/s and at {:.0f}", m.best * 1e-9,
                       m.worst * 1e-9);
  if (m.load && m.cores > 0 && *m.load > kCrowded * m.cores)
    return fmt::format(
        "on average {:.1f} processes were competing for its {} cores in the last minute", *m.load,
        m.cores);
  return std::nullopt;
}

}  // namespace lathe
