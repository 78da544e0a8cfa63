#include "lathe/cli/frame/command.h"

#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"

namespace lathe {

std::string CommandContext::command_line() const { return join(arguments, " "); }

void CommandContext::print_json(const nlohmann::ordered_json& object) {
  // One line, so that a program finds it among others by its first character. Paths and text from
  // outside may hold bytes that are not UTF-8; JSON cannot.
  out << object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
}

}  // namespace lathe
