#include "lathe/kernels/machine.h"

#include <nlohmann/json.hpp>

#include "lathe/cli/commands/bench/bench.h"

namespace lathe {
namespace {

struct MachineOptions {
  void visit(Visitor&) {}
};

int run_machine(const MachineOptions&, CommandContext& context) {
  const double f32 = kernels::measure_matrix_rate(DType::kF32) * 1e-9;
  const double bf16 = kernels::measure_matrix_rate(DType::kBF16) * 1e-9;
  const double int8 = kernels::measure_int8_rate() * 1e-9;
  const double read = kernels::measure_read_bandwidth() * 1e-9;
  print_measured(
      context,
      {{"fp32_gflops", f32}, {"bf16_gflops", bf16}, {"int8_gops", int8}, {"read_gbps", read}},
      fmt::format("matrix products  fp32 {:8.1f} GFLOP/s\n"
                  "                 bf16 {:8.1f} GFLOP/s\n"
                  "                 int8 {:8.1f} GOP/s\n"
                  "memory           read {:8.1f} GB/s\n",
                  f32, bf16, int8, read));
  return 0;
}

}  // namespace

Command bench_machine_command() {
  return make_command<MachineOptions>(
      {.name = "machine",
       .summary = "matrix rates (fp32, bf16, int8) and memory bandwidth",
       .help = "The other benchmarks compare their speed with these limits.\n"},
      run_machine);
}

}  // namespace lathe
