// The section [reward] of a recipe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lathe/config/visit.h"

namespace lathe {

// Keys that functions read.
struct RewardKeys {
  std::string pattern;
  int64_t length_min = 0, length_max = 0;
};

struct RewardConfig : RewardKeys {
  std::vector<std::string> functions;
  std::vector<double> weights;
  std::optional<std::string> command;
  double timeout = 10;

  void visit(Visitor& v);
  // Error kConfig if there is nothing that gives a reward, and for weights, a pattern or lengths that do not
  // fit.
  void check() const;
};

}  // namespace lathe
