// Parses a command line into the options of a command.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lathe/cli/frame/command.h"
#include "lathe/cli/frame/global_options.h"

namespace lathe {

// "val_fraction" -> "--val-fraction"
std::string option_name(std::string_view key);

struct ParsedLine {
  std::vector<std::string> overrides;  // "section.key=value"
  std::vector<std::string> given;      // dotted keys of the options on the line, in visit() order
  GlobalOptions global;
  bool help = false;  // --help was given; the options are then not checked
};

// Sets the options of `bound` from `arguments` (those after the command's name). Throws kUsage,
// naming the option, what was given, what is expected, and for an unknown option the nearest one.
// `name` is the command's full name for the advice at the end.
ParsedLine parse_arguments(const Command& command, BoundCommand& bound,
                           std::span<const std::string> arguments, const std::string& name);

}  // namespace lathe
