// The commands below `lathe eval`.
#pragma once

#include "lathe/cli/commands/commands.h"

namespace lathe {

Command eval_make_command();
Command eval_diff_command();
Command eval_runs_command();
Command eval_signal_command();
Command eval_tasks_command();

}  // namespace lathe
