// The texts that a task trains and is evaluated on: the shards of [data], as rows of a format.
#pragma once

#include <memory>
#include <vector>

#include "lathe/train/task.h"
#include "lathe/train/training_data.h"
#include "lathe/train/validation.h"

namespace lathe {

// Const members are thread-safe.
class TextData {
 public:
  // Errors: kConfig, kData, kIo, kFormat.
  TextData(const TaskSetting& setting, std::shared_ptr<const RowFormat> format);

  // The micro-batches of a step. Throws kData if none has a label.
  std::vector<Batch> batches(int64_t step) const;
  // The number of tokens of text that they are made from.
  int64_t tokens(int64_t step) const;

  bool has_validation() const { return !validation_.empty(); }
  // The loss on each validation set; the breakdown is that of the first.
  TaskEvaluation evaluate(Transformer& model, const StopCheck& stop_if_asked) const;

  // As in Task. check() also refuses ids for which the model has no row.
  TaskInputs check() const;
  int64_t samples_per_epoch() const { return training_.loader->samples_per_epoch(); }
  std::vector<ShardPlan> plan(int64_t steps) const;
  std::vector<int64_t> documents_seen(int64_t steps) const;

 private:
  int64_t samples_of(int64_t steps) const;

  const Log log_;
  const std::vector<std::string> names_;  // data.train
  const TrainConfig config_;
  const int64_t vocab_size_;
  TrainingData training_;
  std::vector<ValidationSet> validation_;
};

}  // namespace lathe
