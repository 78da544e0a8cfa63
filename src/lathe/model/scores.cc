#include "lathe/model/scores.h"

#include <map>

#include "lathe/base/error.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/load_model.h"
#include "lathe/model/weight_map.h"
#include "lathe/nn/initialize.h"

namespace lathe {
namespace {

// As model files name what gives the scores (model/weight_map.cc).
constexpr std::string_view kScoreModules[] = {"score", "classifier"};

std::map<std::string_view, Parameter*> by_name(Transformer& model) {
  std::map<std::string_view, Parameter*> all;
  for (Parameter* p : model.parameters()) all[p->name] = p;
  return all;
}

}  // namespace

bool begins_scores(const ModelConfig& config, const std::filesystem::path& folder) {
  return config.num_labels > 0 && read_model_config(folder).num_labels == 0;
}

ModelConfig without_scores(ModelConfig config, const std::filesystem::path& folder) {
  config.num_labels = 0;
  config.lm_head_bias = read_model_config(folder).lm_head_bias;
  return config;
}

std::string scores_begin(const std::filesystem::path& folder, const ModelConfig& config) {
  return fmt::format(
      "{} predicts tokens: it gets {} score(s) for each text in place of its output head",
      folder.string(), config.num_labels);
}

void load_or_begin_scores(Transformer& model, const std::string& folder, const Rng& rng,
                          const Log& log) {
  if (!begins_scores(model.config(), folder)) return load_weights(model, folder, log);
  const auto base =
      load_model(folder, {.dtype = model.activations(), .device = model.device(), .log = log});
  model.initialize(rng);
  const auto theirs = by_name(*base);
  for (Parameter* p : model.parameters())
    if (const auto found = theirs.find(p->name); found != theirs.end())
      p->value.tensor().copy_from(found->second->value.tensor());
  log.info("{}", scores_begin(folder, model.config()));
}

std::unique_ptr<Transformer> share_with_scores(Transformer& base, const ScoreShape& scores,
                                               const Rng& rng) {
  ModelConfig config = base.config();
  config.num_labels = scores.labels;
  config.lm_head_bias = scores.bias;
  auto model = std::make_unique<Transformer>(config);
  model->set_activations(base.activations());
  const auto theirs = by_name(base);
  for (Parameter* p : model->parameters()) {
    if (const auto found = theirs.find(p->name); found != theirs.end()) {
      p->value = found->second->value;
      continue;
    }
    p->value = Tensor(p->shape, base.activations());
    draw(*p, rng.fork(p->name));
  }
  return model;
}

std::string score_module(Transformer& model) {
  constexpr std::string_view kOurs = "score.weight", kEnd = ".weight";
  for (const DiskTensor& place : map_weights(model))
    if (place.pieces.front().parameter->name == kOurs && place.name.ends_with(kEnd))
      return place.name.substr(0, place.name.size() - kEnd.size());
  fail(ErrorKind::kConfig, "model", "gives no scores, but an objective needs them");
}

ScoreShape scores_of_adapter(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "adapter_model.safetensors";
  if (!std::filesystem::exists(file)) return {.labels = 0};
  const SafetensorsReader reader(file);
  for (const std::string_view module : kScoreModules) {
    const auto find = [&](const char* what) {
      return reader.find(fmt::format("base_model.model.{}.{}", module, what));
    };
    const ArraySpan* weight = find("weight");
    if (weight != nullptr && !weight->shape.empty())
      return {.labels = weight->shape[0], .bias = find("bias") != nullptr};
  }
  return {.labels = 0};
}

}  // namespace lathe
