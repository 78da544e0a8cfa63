#include "lathe/train/step_lines.h"

#include <nlohmann/json.hpp>

namespace lathe {

using Json = nlohmann::ordered_json;

StepLines::StepLines(std::filesystem::path path, int64_t last_step,
                     const std::function<void(const Json& line)>& kept)
    : lines_(std::move(path), [&](const Json& line) {
        if (line.value("step", last_step + 1) > last_step) return false;
        if (kept) kept(line);
        return true;
      }) {}

}  // namespace lathe
