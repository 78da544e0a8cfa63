// The display of a training run: the progress bar, validations, samples. Shared by `train` and
// `demo`.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "lathe/cli/frame/command.h"
#include "lathe/report/running_mean.h"
#include "lathe/text/tokenizer.h"
#include "lathe/train/train_loop.h"

namespace lathe {

class TrainDisplay {
 public:
  // Loads data.tokenizer if the recipe sets it (throws kData if it does not fit the model) and
  // measures the machine's matrix rate. `context` must outlive the display.
  TrainDisplay(const Recipe& recipe, CommandContext& context);

  TrainCallbacks callbacks();
  TrainFacts facts() const;
  void announce(TrainLoop& loop) const;  // one paragraph: sizes, machine, plan
  void finish();
  nlohmann::ordered_json summary() const;

 private:
  void on_step(const StepReport& report);
  std::string sample(Transformer& model) const;

  const Recipe recipe_;
  CommandContext& context_;
  std::optional<Tokenizer> tokenizer_;
  double matrix_flops_ = 0;
  std::unique_ptr<Progress> progress_;
  std::optional<StepReport> last_step_;
  std::optional<EvalReport> last_eval_;
  RunningMean smooth_loss_{0.95}, smooth_seconds_{0.9};
};

}  // namespace lathe
