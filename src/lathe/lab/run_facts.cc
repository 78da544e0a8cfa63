#include "lathe/lab/run_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/io/manifest.h"
#include "lathe/model/transformer.h"
#include "lathe/train/checkpoint.h"
#include "lathe/train/recipe.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

void count_parameters(const RunData& run, RunFacts& facts) {
  if (!run.recipe.is_object()) return;
  try {
    Transformer model(read_recipe(run.recipe).model);
    facts.parameters = model.parameter_count();
  } catch (const Error& e) {  // of another version, or changed by hand: the curves are sound
    facts.problem = e.what();
  }
}

std::optional<Manifest> newest_manifest(const fs::path& run) {
  std::error_code error;
  if (const fs::path path = manifest_path(result_of_run(run), true); fs::exists(path, error))
    return read_manifest(path);
  const CheckpointStore checkpoints(run / "checkpoints");
  const std::vector<int64_t> steps = checkpoints.steps();
  if (steps.empty()) return std::nullopt;
  const fs::path path = manifest_path(checkpoints.path_of(steps.back()), true);
  return fs::exists(path, error) ? std::optional(read_manifest(path)) : std::nullopt;
}

void describe_machine(const RunData& run, RunFacts& facts) {
  if (run.demo.is_object() && run.demo.contains("machine")) {
    for (const auto& [name, value] : run.demo["machine"].items())
      facts.machine.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
    return;
  }
  if (const auto manifest = newest_manifest(run.folder))
    facts.machine = {{"processor", manifest->cpu},
                     {"threads", std::to_string(manifest->threads)},
                     {"lathe", manifest->version},
                     {"written", manifest->created}};
  if (const auto rate = matrix_rate_of(run))
    facts.machine.emplace_back("matrix products, measured",
                               fmt::format("{:.0f} GFLOP/s", *rate * 1e-9));
}

}  // namespace

std::optional<double> matrix_rate_of(const RunData& run) {
  std::vector<double> rates;
  for (size_t i = 1; i < run.steps.size(); ++i) {
    const StepPoint &before = run.steps[i - 1], &now = run.steps[i];
    const double rate = (now.flops - before.flops) / (now.step_ms * 1e-3) / now.mfu;
    if (now.step == before.step + 1 && std::isfinite(rate) && rate > 0) rates.push_back(rate);
  }
  if (rates.empty()) return std::nullopt;
  const auto middle = rates.begin() + static_cast<ptrdiff_t>(rates.size() / 2);
  std::ranges::nth_element(rates, middle);
  return *middle;
}

RunFacts read_facts(const RunData& run) {
  RunFacts facts;
  count_parameters(run, facts);
  describe_machine(run, facts);
  return facts;
}

}  // namespace lathe
