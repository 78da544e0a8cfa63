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
  int64_t max_completion_len = 0, soft_punish_cache = 0;
  std::optional<int64_t> ngram_size;  // default: 3
  bool partial_credit = false;
};

struct RewardConfig : RewardKeys {
  std::vector<std::string> functions, model;
  std::vector<double> weights;
  std::optional<std::string> command;
  std::optional<double> timeout;  // default: 10

  void visit(Visitor& v);
  // Error kConfig if there is nothing that gives a reward, and for weights, a pattern or lengths that do not
  // fit, and for keys that nothing reads.
  void check() const;
  // The names of the parts, in the order of their weights: functions, models, the command.
  std::vector<std::string> parts() const;
  double weight(size_t part) const { return weights.empty() ? 1.0 : weights[part]; }
};

}  // namespace lathe
