// The task of objectives over answers: supervised fine-tuning, preferences, reward models, distillation.
#pragma once

#include <memory>

#include "lathe/train/answers/answer_step.h"
#include "lathe/train/task.h"
#include "lathe/train/task/policy.h"

namespace lathe {

// The models that an objective needs beside the one that is trained, as its recipe names them.
class OtherModels {
 public:
  // For inference in the recipe's arithmetic; a critic has master weights that can be trained. Errors:
  // those of load_model(); kConfig for a model with another vocabulary.
  OtherModels(const Recipe& recipe, const Log& log);

  // With `policy`, which outlives the result.
  AnswerModels with(Policy& policy) const;

 private:
  std::unique_ptr<Transformer> reference_, teacher_, critic_;
  bool reference_is_base_ = false;  // of the policy's adapter
};

}  // namespace lathe
