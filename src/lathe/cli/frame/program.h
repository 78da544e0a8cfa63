// The program without its process; main.cc and the tests call it.
#pragma once

#include <ostream>
#include <span>
#include <string>
#include <string_view>

#include "lathe/cli/frame/command.h"

namespace lathe {

// A page of docs/ that `lathe help OPTION` prints.
struct HelpPage {
  std::string_view option;  // "--recipe"
  std::string (*text)();
};

// The commands and pages of the program.
struct Program {
  std::span<const Command> commands;
  std::span<const HelpPage> pages = {};
};

struct ProgramOutput {
  std::ostream& out;
  std::ostream& err;
  ProgressStyle progress;
  bool owns_process = false;  // Ctrl-C may end the process, which has the handler
};

// Runs `arguments` (without the program's own name) and returns the exit code. Errors are printed
// to `err` as `lathe COMMAND: error: [where] …`.
int run_program(const Program& program, std::span<const std::string> arguments,
                const ProgramOutput& output);

}  // namespace lathe
