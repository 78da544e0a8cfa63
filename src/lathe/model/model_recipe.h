// The [model] section of a recipe.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "lathe/model/model_config.h"

namespace lathe {

// The section without `from`: model_type chooses the family, whose defaults and config.json
// spellings (n_embd for GPT-2) are understood; every other key is one of ModelConfig's. Validated.
ModelConfig model_config_from_recipe(const nlohmann::ordered_json& section);

// The keys of a model that only matter in training.
void visit_dropout(Visitor& v, double& attention_dropout, double& hidden_dropout);

}  // namespace lathe
