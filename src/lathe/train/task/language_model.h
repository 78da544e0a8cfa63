// The task of a language model: rows that a row format makes from pieces of text, and the cross
// entropy of their labels,
//
//   loss = Σ −log p(label) / labels of the step   (nats a label)
//
// The gradient also includes the routers' losses, multi-token prediction (train/task/mtp.h) and the
// z-loss.
#pragma once

#include <memory>

#include "lathe/config/visit.h"

namespace lathe {

class Task;
struct TaskSetting;

struct LanguageModelConfig {
  double mtp_weight = 0.3;
  double z_loss = 0.0;
  void visit(Visitor& v);
};

// The task of the recipe's objective, which has a row format. Errors: kConfig, kData, kIo, kFormat.
std::unique_ptr<Task> make_language_model(const TaskSetting& setting);

}  // namespace lathe
