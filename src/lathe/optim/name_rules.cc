#include "lathe/optim/name_rules.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/optim/optimizers.h"

namespace lathe {

bool NameRules::Rule::matches(const Parameter& parameter) const {
  return ::fnmatch(pattern.c_str(), parameter.name.c_str(), 0) == 0;
}

std::vector<NameRules::Rule> NameRules::parse(const std::string& key,
                                              const std::vector<std::string>& texts) {
  std::vector<Rule> rules;
  for (const std::string& text : texts) {
    const size_t colon = text.rfind(':');
    double number = -1;
    if (colon != std::string::npos) {
      const char* end = text.data() + text.size();
      const auto parsed = std::from_chars(text.data() + colon + 1, end, number);
      if (parsed.ec != std::errc() || parsed.ptr != end) number = -1;
    }
    require(colon > 0 && number >= 0 && std::isfinite(number), ErrorKind::kConfig, key,
            "'{}' is not PATTERN:NUMBER with a number of at least 0; write it as in "
            "\"embedding.*:0.5\"",
            text);
    rules.push_back({key, text, text.substr(0, colon), number});
  }
  return rules;
}

NameRules::NameRules(const OptimConfig& config)
    : lr_(parse("optim.lr_by_name", config.lr_by_name)),
      decay_(parse("optim.decay_by_name", config.decay_by_name)),
      weight_decay_(config.weight_decay) {}

double NameRules::lr_ratio(const Parameter& parameter) const {
  double ratio = 1;
  for (const Rule& rule : lr_)
    if (rule.matches(parameter)) ratio = rule.number;
  return ratio;
}

double NameRules::decay(const Parameter& parameter) const {
  double decay = parameter.decays() ? weight_decay_ : 0;
  for (const Rule& rule : decay_)
    if (rule.matches(parameter)) decay = rule.number;
  return decay;
}

void NameRules::require_matches(std::span<const TrainedParameter> parameters) const {
  for (const auto* rules : {&lr_, &decay_})
    for (const Rule& rule : *rules) {
      if (std::ranges::any_of(
              parameters, [&](const TrainedParameter& p) { return rule.matches(*p.parameter); }))
        continue;
      std::vector<std::string> names;
      for (const TrainedParameter& p : parameters) names.push_back(p.name());
      names.resize(std::min<size_t>(names.size(), 4));
      fail(ErrorKind::kConfig, rule.key,
           "'{}' matches no parameter; there are {} …, and `lathe inspect` lists all", rule.text,
           join(names, ", "));
    }
}

}  // namespace lathe
