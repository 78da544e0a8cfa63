// The stages of the demo. Each does what one command does, and prints that command.
#pragma once

#include <vector>

#include "lathe/cli/commands/demo/state.h"
#include "lathe/cli/frame/command.h"

namespace lathe {

// In order; options, context and state must outlive them.
std::vector<DemoStage> demo_stages(const DemoOptions& options, CommandContext& context,
                                   DemoState& state);

}  // namespace lathe
