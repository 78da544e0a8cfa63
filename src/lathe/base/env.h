// The only place that reads the environment; everything else receives values.
#pragma once

#include <optional>
#include <string>

namespace lathe {

std::optional<std::string> environment(const std::string& name);

}  // namespace lathe
