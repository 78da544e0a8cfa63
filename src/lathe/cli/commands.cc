#include "lathe/cli/commands.h"

namespace lathe {

const std::vector<Command>& commands() {
  static const std::vector<Command> kCommands = {
      completion_command(),
  };
  return kCommands;
}

}  // namespace lathe
