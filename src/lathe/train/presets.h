// Recipes for what is done most with a model that exists: `lathe sft MODEL DATA` and its kin.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct TrainPreset {
  std::string_view name, summary;
  std::string_view data;    // what a row of the data has
  std::string_view kind;    // TOML: what differs from the defaults, as in others of its kind
  std::string_view recipe;  // and in this one alone; `out` and the model are added
};
std::span<const TrainPreset> train_presets();

// The recipe's tree for a model and files of rows. Every value may be overridden. Errors: those of
// read_model_config().
nlohmann::ordered_json preset_recipe(const TrainPreset& preset, const std::string& model,
                                     const std::vector<std::string>& data);

}  // namespace lathe
