#include "lathe/model/weight_map.h"

#include <map>

#include "lathe/base/error.h"
#include "lathe/model/family.h"

namespace lathe {
namespace {

std::string fill_in(const std::string& pattern, int64_t layer) {
  const size_t at = pattern.find("{}");
  return at == std::string::npos
             ? pattern
             : pattern.substr(0, at) + std::to_string(layer) + pattern.substr(at + 2);
}

WeightBinding bind_rule(const WeightRule& rule, int64_t layer,
                        const std::map<std::string, Parameter*>& by_name) {
  const std::string name = fill_in(rule.parameter, layer);
  const auto found = by_name.find(name);
  require(found != by_name.end(), ErrorKind::kConfig, "weights",
          "the family maps '{}' to '{}', which the model lacks", rule.disk, name);
  Parameter* p = found->second;
  WeightBinding b{fill_in(rule.disk, layer), p, 0, p->shape[0], rule.transposed};
  if (rule.part >= 0) {
    for (int i = 0; i < rule.part; ++i) b.first_row += p->parts.at(static_cast<size_t>(i));
    b.rows = p->parts.at(static_cast<size_t>(rule.part));
  }
  return b;
}

}  // namespace

Tensor WeightBinding::on_disk(const Tensor& whole) const {
  const Tensor rows_of = whole.narrow(0, first_row, rows);
  return transposed ? rows_of.transpose(0, 1) : rows_of;
}

std::vector<WeightBinding> bind_weights(Transformer& model) {
  std::map<std::string, Parameter*> by_name;
  for (Parameter* p : model.parameters()) by_name[p->name] = p;
  const std::vector<WeightRule> rules = family_for(model.config()).weights(model.config());
  std::vector<WeightBinding> bindings;
  if (rules.empty()) {
    for (Parameter* p : model.parameters()) bindings.push_back({p->name, p, 0, p->shape[0], false});
    return bindings;
  }
  for (const WeightRule& rule : rules)
    if (rule.disk.find("{}") == std::string::npos) bindings.push_back(bind_rule(rule, 0, by_name));
  for (int64_t layer = 0; layer < model.config().num_hidden_layers; ++layer)
    for (const WeightRule& rule : rules)
      if (rule.disk.find("{}") != std::string::npos)
        bindings.push_back(bind_rule(rule, layer, by_name));
  std::map<const Parameter*, int64_t> bound;
  for (const auto& b : bindings) bound[b.parameter] += b.rows;
  for (const auto& [name, p] : by_name)
    require(bound[p] == p->shape[0], ErrorKind::kConfig, "weights",
            "{} of {} rows of '{}' have a name on disk", bound[p], p->shape[0], name);
  return bindings;
}

}  // namespace lathe
