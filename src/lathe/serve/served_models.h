// The models of a server, by name.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/serve/served_model.h"

namespace lathe {

// Thread-safe.
class ServedModels {
 public:
  // Loads them in this order. Errors: those of ServedModel, and kUsage for two of one name.
  ServedModels(std::vector<ServedModelOptions> models, const Log& log);

  std::vector<std::string> names() const;
  const std::vector<std::unique_ptr<ServedModel>>& all() const { return models_; }
  ServedModel* find(std::string_view name) const;  // null if there is none
  void drain();

 private:
  std::vector<std::unique_ptr<ServedModel>> models_;
};

}  // namespace lathe
