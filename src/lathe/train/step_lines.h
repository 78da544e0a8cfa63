// A file of JSON lines that a run adds to as it goes on, in which every step stands once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "lathe/io/json_lines.h"

namespace lathe {

class StepLines {
 public:
  // Opens it for more lines. Those of steps after `last_step` (written by a run that stopped before its
  // next checkpoint) and what is no line are removed first; `kept` gets the others in their order. Throws
  // kIo.
  StepLines(std::filesystem::path path, int64_t last_step,
            const std::function<void(const nlohmann::ordered_json& line)>& kept = {});

  // `line` has "step". It is in the file when this returns.
  void write(const nlohmann::ordered_json& line) { lines_.write(line); }

 private:
  JsonLines lines_;
};

}  // namespace lathe
