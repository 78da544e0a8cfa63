// The display of a training run: the progress bar, validations, samples. Shared by `train` and
// `demo`.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "lathe/cli/frame/command.h"
#include "lathe/report/running_mean.h"
#include "lathe/text/tokenizer.h"
#include "lathe/train/example/example_file.h"
#include "lathe/train/memory_plan.h"
#include "lathe/train/train_loop.h"

namespace lathe {

class TrainDisplay {
 public:
  // Loads data.tokenizer if the recipe sets it (throws kData if it does not fit the model) and
  // measures the machine's matrix rate. `context` must outlive the display.
  TrainDisplay(const Recipe& recipe, CommandContext& context);

  TrainCallbacks callbacks();
  TrainFacts facts() const;
  // Plans the run's memory, and says so; warns where there is less. Rows are read once for it and the
  // run.
  void plan_memory();
  void announce(TrainLoop& loop) const;  // one paragraph: sizes, machine, plan
  void finish(TrainLoop& loop);
  nlohmann::ordered_json summary(TrainLoop& loop) const;

 private:
  void on_step(const StepReport& report);
  std::string sample(Transformer& model) const;
  std::shared_ptr<const ExampleSet> read(const std::vector<std::string>& files,
                                         const ExampleOptions& options, const Log& log);

  const Recipe recipe_;
  CommandContext& context_;
  std::optional<Tokenizer> tokenizer_;
  double matrix_flops_ = 0;
  std::map<std::vector<std::string>, std::shared_ptr<const ExampleSet>> read_;
  std::optional<MemoryPlan> memory_;
  std::unique_ptr<Progress> progress_;
  std::optional<StepReport> last_step_;
  std::optional<EvalReport> last_eval_;
  RunningMean smooth_loss_{0.95}, smooth_seconds_{0.9};
};

}  // namespace lathe
