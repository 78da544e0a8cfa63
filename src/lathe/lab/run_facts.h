// The facts that a report shows about a run in addition to its curves: the size of its model and
// the machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lathe/lab/run_data.h"

namespace lathe {

struct RunFacts {
  // Counted from the recipe's model section; nullopt for a run without a recipe.
  std::optional<int64_t> parameters;
  // Why they could not be counted although there is a recipe; empty if they were.
  std::string problem;
  // Name and value: what `lathe demo` measured, else what the manifest of the model or of the
  // newest checkpoint says, and the matrix rate used for the run's MFU. Empty if nothing is known.
  std::vector<std::pair<std::string, std::string>> machine;
};

// Errors: those of read_manifest() for a damaged manifest.
RunFacts read_facts(const RunData& run);

// The matrix rate in FLOP/s that the run's steps were compared with: the FLOPs between two lines of
// metrics.jsonl, by their time and by their MFU, the median. nullopt if no line has all of them.
std::optional<double> matrix_rate_of(const RunData& run);

}  // namespace lathe
