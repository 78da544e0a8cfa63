// Whether other programs are using the machine: measurements taken now would then not predict the
// following minutes.
#pragma once

#include <optional>
#include <string>

namespace lathe {

struct MachineLoad {
  double best = 0, worst = 0;       // FLOP/s of the same matrix product, fp32, of a few tries
  double expected = 0;              // of this processor when it is idle; 0: not known
  std::optional<double> load = {};  // runnable processes, the mean of the last minute
  int cores = 0;                    // that the system has
};

// Takes the measurements, which takes about half a second.
MachineLoad measure_load();

// Threads × clock × FLOPs a cycle of a core at the instruction set of the kernels; the latter is
// that of processors with one multiply-add unit of that width (AVX-512: 32, AVX2 and others: 16),
// although many have two. 0 if the system does not report the clock.
double expected_matrix_rate();

// One sentence without a full stop that says why the machine seems busy; nullopt if it does not.
// The reasons are a rate below a quarter of the expected one, tries of which one is below 0.6 of
// another, or a load average above 1.3 processes per core (the demo itself causes up to one per
// core).
std::optional<std::string> why_busy(const MachineLoad& load);

}  // namespace lathe
