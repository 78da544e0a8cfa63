// Learning rate and weight decay by parameter name.
//
// A rule is "PATTERN:NUMBER"; * and ? in the pattern stand for any characters, as in file names. Of
// several rules that match a name the last one counts. Names are those of `lathe inspect`.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lathe/optim/trained_parameter.h"

namespace lathe {

struct OptimConfig;

class NameRules {
 public:
  // Error kConfig for a rule without a number, or with one below 0.
  explicit NameRules(const OptimConfig& config);

  // What the learning rate is multiplied by: optim.lr_by_name, else 1.
  double lr_ratio(const Parameter& parameter) const;
  // optim.decay_by_name, else optim.weight_decay for parameters with two or more dimensions.
  double decay(const Parameter& parameter) const;
  // Error kConfig naming a rule that fits none of the parameters.
  void require_matches(std::span<const TrainedParameter> parameters) const;

 private:
  struct Rule {
    std::string key, text, pattern;
    double number = 0;
    bool matches(const Parameter& parameter) const;
  };
  static std::vector<Rule> parse(const std::string& key, const std::vector<std::string>& texts);

  std::vector<Rule> lr_, decay_;
  double weight_decay_;
};

}  // namespace lathe
