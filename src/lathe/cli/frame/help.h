// Help in every form, generated from the catalogue.
#pragma once

#include <span>
#include <string>

#include "lathe/cli/frame/command.h"

namespace lathe {

std::string program_help(std::span<const Command> commands);
// `name` is the full name, "tokenizer train".
std::string command_help(const Command& command, const std::string& name);
// docs/commands.md
std::string commands_markdown(std::span<const Command> commands);

}  // namespace lathe
