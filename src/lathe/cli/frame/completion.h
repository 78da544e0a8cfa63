// Shell completion for `lathe`, from the catalogue of commands and the keys of a recipe.
#pragma once

#include <span>
#include <string>

#include "lathe/cli/frame/command.h"

namespace lathe {

// A script for `shell` = bash, zsh or fish. It completes commands, options and their choices, and
// if a command takes `--section.key=value` also the keys of a recipe and, after the equals sign,
// their choices; otherwise it completes files.
std::string completion_script(std::span<const Command> commands, const std::string& shell);

}  // namespace lathe
