// The options of every command; parsing, help and completion read them here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lathe/config/visit.h"

namespace lathe {

struct GlobalOptions {
  bool json = false;
  std::optional<int64_t> threads;
  std::optional<std::string> cpu_level;

  void visit(Visitor& v);
};

}  // namespace lathe
