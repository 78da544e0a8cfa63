#include "lathe/base/env.h"

#include <cstdlib>

namespace lathe {

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

}  // namespace lathe
