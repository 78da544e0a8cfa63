#include "lathe/base/env.h"

#include <unistd.h>

#include <cstdlib>

namespace lathe {

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

char** whole_environment() { return ::environ; }

}  // namespace lathe
