// The [model] section of a recipe.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "lathe/model/model_config.h"

namespace lathe {

// Its keys, but for `from`: the family, which only a recipe names, and those of ModelConfig.
struct ModelSection {
  ModelConfig& config;

  void visit(Visitor& v);
};

// The section without `from`: model_type chooses the family, whose defaults and config.json
// spellings (n_embd for GPT-2) are understood; every other key is one of ModelConfig's. Validated.
ModelConfig model_config_from_recipe(const nlohmann::ordered_json& section);

}  // namespace lathe
