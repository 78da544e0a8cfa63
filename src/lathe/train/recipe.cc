#include "lathe/train/recipe.h"

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/config/config.h"
#include "lathe/model/folder.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

const std::vector<std::string> kSections = {"model",     "data",  "train",
                                            "objective", "optim", "schedule"};

// Dropout is a matter of training, so it may be set beside `from`; everything else the folder
// decides.
ModelConfig model_from_folder(const std::string& folder, const Json& section) {
  ModelConfig config = read_model_config(folder);
  for (const auto& [key, value] : section.items()) {
    if (key == "from") continue;
    require(key == "attention_dropout" || key == "hidden_dropout", ErrorKind::kConfig, "model",
            "'{}' cannot be set beside from = \"{}\": the folder's config.json decides; only "
            "attention_dropout and "
            "hidden_dropout may be given",
            key, folder);
    require(value.is_number() && value.get<double>() >= 0 && value.get<double>() < 1,
            ErrorKind::kConfig, "model", "{} = {} is not a probability below 1", key, value.dump());
    (key == "attention_dropout" ? config.attention_dropout : config.hidden_dropout) =
        value.get<double>();
  }
  return config;
}

void check_together(const Recipe& r) {
  make_objective(r.objective, r.model, r.train.seq_len);  // refuses what does not fit
  require(!r.data.document_mask || objective_name(r.objective, r.model) == "next_token",
          ErrorKind::kConfig, "data.document_mask",
          "only rows that are the text itself keep their documents apart: objective.name = "
          "\"next_token\"; leave it off for {}",
          objective_name(r.objective, r.model));
  require(r.train.device == "cpu" || r.train.precision == "fp32", ErrorKind::kConfig,
          "train.precision", "the ref device computes in double; write precision = \"fp32\"");
  require(r.train.sample_every == 0 || r.data.tokenizer, ErrorKind::kConfig, "train.sample_every",
          "sample texts need a tokenizer; set data.tokenizer, or sample_every = 0");
}

}  // namespace

DType Recipe::compute_dtype() const {
  if (train.device == "ref") return DType::kF64;
  return train.precision == "bf16" ? DType::kBF16 : DType::kF32;
}

Device Recipe::compute_device() const {
  return train.device == "ref" ? Device::kRef : Device::kCpu;
}

Recompute Recipe::recompute() const {
  if (train.recompute == "full") return Recompute::kFull;
  return train.recompute == "selective" ? Recompute::kSelective : Recompute::kNone;
}

Recipe read_recipe(const Json& tree) {
  for (const auto& [key, value] : tree.items()) {
    require(std::ranges::find(kSections, key) != kSections.end(), ErrorKind::kConfig, "recipe",
            "unknown section [{}].{} Sections: {}", key, did_you_mean(key, kSections),
            join(kSections, ", "));
    require(value.is_object(), ErrorKind::kConfig, "recipe",
            "'{}' is a section: write [{}] and its keys below", key, key);
  }
  auto section = [&](const char* name) {
    return tree.contains(name) ? tree.at(name) : Json::object();
  };
  Recipe r;
  const Json model = section("model");
  if (model.contains("from")) {
    require(model["from"].is_string(), ErrorKind::kConfig, "model.from",
            "expected a folder, got {}", model["from"].dump());
    r.from = model["from"].get<std::string>();
    r.model = model_from_folder(*r.from, model);
  } else {
    r.model = model_config_from_recipe(model);
  }
  read_config(r.data, section("data"), "data");
  read_config(r.train, section("train"), "train");
  read_config(r.objective, section("objective"), "objective");
  read_config(r.optim, section("optim"), "optim");
  read_config(r.schedule, section("schedule"), "schedule");
  check_together(r);
  return r;
}

Json write_recipe(const Recipe& r) {
  Json json;
  json["model"] = write_config(r.model);
  if (r.from) json["model"]["from"] = *r.from;
  json["data"] = write_config(r.data);
  json["train"] = write_config(r.train);
  json["objective"] = write_config(r.objective);
  json["optim"] = write_config(r.optim);
  json["schedule"] = write_config(r.schedule);
  return json;
}

}  // namespace lathe
