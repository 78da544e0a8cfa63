// What a command may not do to the files that it is given: overwrite one that it reads, or write two
// things into one.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lathe {

struct NamedPath {
  std::string name;                 // as the user knows it: "--out", "the model"
  std::optional<std::string> path;  // absent if the option is not given
};

// Throws kUsage, before anything is computed, for an output that is one of the inputs or another
// output, links followed, or whose folder does not exist. Devices and pipes may be given twice.
void check_outputs(const std::vector<NamedPath>& outputs, const std::vector<NamedPath>& inputs);

}  // namespace lathe
