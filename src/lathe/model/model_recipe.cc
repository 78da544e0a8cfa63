#include "lathe/model/model_recipe.h"

#include <nlohmann/json.hpp>

#include "lathe/config/read_write.h"
#include "lathe/model/family.h"

namespace lathe {

void ModelSection::visit(Visitor& v) {
  v.choice("model_type", config.model_type, family_names(),
           "model family whose defaults and config.json keys apply; `lathe` for none");
  config.visit(v);
}

ModelConfig model_config_from_recipe(const nlohmann::ordered_json& section) {
  const std::string type = section.contains("model_type") && section["model_type"].is_string()
                               ? section["model_type"].get<std::string>()
                               : "llama";
  const Family& family = find_family(type);
  ModelConfig config = default_config(family);
  ModelSection keys{config};
  read_config_in_place(keys, rename_keys(family, section), "model", {});
  validate(config);
  return config;
}

}  // namespace lathe
