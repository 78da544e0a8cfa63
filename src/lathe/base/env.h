// The only place that reads the environment; everything else receives values.
#pragma once

#include <optional>
#include <string>

namespace lathe {

std::optional<std::string> environment(const std::string& name);
// All of it, as posix_spawn() takes it for a program that is started.
char** whole_environment();

}  // namespace lathe
