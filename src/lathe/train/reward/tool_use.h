// A call of a tool in an answer, and what came of it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

namespace lathe {

struct ToolUse {
  std::string name, arguments;  // as the model wrote them
  std::string result = {};      // what it was told
  bool failed = false;          // there was no such tool, or it refused the arguments
};

// A list of objects with these names, for programs and files.
nlohmann::ordered_json json_of(std::span<const ToolUse> uses);

}  // namespace lathe
