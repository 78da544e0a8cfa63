// The options that say what acts on a model beside its weights.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/config/visit.h"
#include "lathe/model/adapter/applied_adapters.h"
#include "lathe/model/adapter/row_adapters.h"

namespace lathe {

// What acts on all rows of a pass, and of which adapters it is made. Null without any.
struct AppliedModelAdapters {
  std::vector<std::shared_ptr<const Adapter>> all;
  std::unique_ptr<AppliedAdapters> acting;
};

struct AdapterOptions {
  std::vector<std::string> adapter = {};
  std::optional<std::string> steering = {}, steering_layers = {};
  double steering_scale = 1;

  void visit(Visitor& v);
  bool given() const { return !adapter.empty() || steering; }
  // Reads what is given, and says so: for requests, which can choose among low-rank updates. Errors:
  // kUsage for layers that are not a range, and for an option that has no effect; those of
  // load_lora() and load_steering(); kData for vectors of another model.
  Adaptation load(Transformer& model, const Log& log) const;
  // The same for passes all of whose rows have the same adapters, of any kind.
  AppliedModelAdapters apply(Transformer& model, const Log& log) const;

 private:
  std::optional<Steering> load_vectors(const Transformer& model) const;
};

}  // namespace lathe
