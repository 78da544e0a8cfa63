// The options that say what acts on a model beside its weights.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/config/visit.h"
#include "lathe/model/adapter/row_adapters.h"

namespace lathe {

struct AdapterOptions {
  std::vector<std::string> adapter;
  std::optional<std::string> steering, steering_layers;
  double steering_scale = 1;

  void visit(Visitor& v);
  bool given() const { return !adapter.empty() || steering; }
  // Reads what is given, and says so. Errors: kUsage for layers that are not a range, and for an
  // option that has no effect; those of load_lora() and load_steering(); kData for vectors of another
  // model.
  Adaptation load(Transformer& model, const Log& log) const;
};

}  // namespace lathe
