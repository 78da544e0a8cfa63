// Whether other programs take the machine from the demo: what is measured now would then be no
// promise for the minutes that follow.
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

// Measures: about half a second.
MachineLoad measure_load();

// Threads × clock × FLOPs a cycle of a core at the instruction set of the kernels; for the latter
// what processors sustain that have one unit of that width for multiply-adds (AVX-512: 32, AVX2 and
// others: 16), many have two. 0 where the system does not tell the clock.
double expected_matrix_rate();

// One sentence without its full stop that says why the machine seems busy; nullopt when it does
// not: a rate below a quarter of what is expected, tries of which one is below 0.6 of another, or a
// load average above 1.3 processes a core (the demo itself makes up to one a core).
std::optional<std::string> why_busy(const MachineLoad& load);

}  // namespace lathe
