// The models that an objective needs beside the one that is trained, as its recipe names them.
#pragma once

#include <memory>

#include "lathe/train/answers/answer_step.h"
#include "lathe/train/task.h"
#include "lathe/train/task/policy.h"

namespace lathe {

// With an adapter the policy's base serves for more than one of them: it is the reference, and, unless a
// folder of a whole model is named, what the critic is above, with a score and an adapter of its own of
// the same kind (Actor, reference and critic share one base, as in Santacroce et al. 2023,
// arXiv:2309.00754).
class OtherModels {
 public:
  // For inference in the recipe's arithmetic; a critic has master weights that can be trained. `policy`
  // outlives it. Errors: those of load_model(), load_adapter() and make_adapter(); kConfig for a model
  // with another vocabulary, and for an adapter of a kind that a critic cannot have.
  OtherModels(const Recipe& recipe, Policy& policy, const Log& log);

  AnswerModels all() const;

 private:
  void make_shared_critic(const std::string& folder, const Recipe& recipe, const Log& log);

  Policy& policy_;
  std::unique_ptr<Transformer> reference_, teacher_, critic_;
  std::shared_ptr<Adapter> critic_adapter_;
  bool reference_is_base_ = false;  // of the policy's adapter
};

}  // namespace lathe
