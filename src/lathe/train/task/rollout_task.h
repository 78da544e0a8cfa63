// The task of objectives of rollouts: the model answers prompts, the answers get rewards, and the model
// learns from both, in every step anew (policy gradients).
#pragma once

#include <memory>

#include "lathe/train/task.h"

namespace lathe {

// Errors: kConfig, kData, kIo, kFormat.
std::unique_ptr<Task> make_rollout_task(const TaskSetting& setting);

}  // namespace lathe
