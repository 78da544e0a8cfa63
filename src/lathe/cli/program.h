// The program without its process: main.cc calls it, tests too.
#pragma once

#include <ostream>
#include <span>
#include <string>

#include "lathe/cli/command.h"

namespace lathe {

struct ProgramOutput {
  std::ostream& out;
  std::ostream& err;
  ProgressStyle progress;
  bool owns_process = false;  // Ctrl-C may end the process: it has the handler and does no more
};

// Runs `arguments` (without the program's own name) with the given catalogue and returns the exit
// code. Errors are printed to `err` as `lathe COMMAND: error: [where] …`.
int run_program(std::span<const Command> commands, std::span<const std::string> arguments,
                const ProgramOutput& output);

}  // namespace lathe
