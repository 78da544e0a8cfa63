#include "lathe/cli/commands.h"

namespace lathe {

const std::vector<Command>& commands() {
  static const std::vector<Command> kCommands = {
      generate_command(),
      logits_command(),
      export_command(),
      completion_command(),
  };
  return kCommands;
}

}  // namespace lathe
