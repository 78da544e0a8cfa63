#include "lathe/serve/served_models.h"

#include <algorithm>

#include "lathe/base/error.h"

namespace lathe {

ServedModels::ServedModels(std::vector<ServedModelOptions> models, const Log& log) {
  for (ServedModelOptions& options : models) {
    require(find(options.name) == nullptr, ErrorKind::kUsage, "serve",
            "two models are called '{}'; give one another name: NAME=MODEL", options.name);
    models_.push_back(std::make_unique<ServedModel>(std::move(options), log));
  }
}

std::vector<std::string> ServedModels::names() const {
  std::vector<std::string> out;
  for (const auto& model : models_) out.push_back(model->name());
  return out;
}

ServedModel* ServedModels::find(std::string_view name) const {
  const auto it = std::ranges::find(models_, name, [](const auto& model) { return model->name(); });
  return it == models_.end() ? nullptr : it->get();
}

void ServedModels::drain() {
  for (const auto& model : models_) model->drain();
}

}  // namespace lathe
