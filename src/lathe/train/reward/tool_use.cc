#include "lathe/train/reward/tool_use.h"

#include <nlohmann/json.hpp>

namespace lathe {

nlohmann::ordered_json json_of(std::span<const ToolUse> uses) {
  auto list = nlohmann::ordered_json::array();
  for (const ToolUse& use : uses)
    list.push_back({{"name", use.name},
                    {"arguments", use.arguments},
                    {"result", use.result},
                    {"failed", use.failed}});
  return list;
}

}  // namespace lathe
