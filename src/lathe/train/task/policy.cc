#include "lathe/train/task/policy.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/model/adapter/applied_adapters.h"
#include "lathe/model/load_model.h"
#include "lathe/model/nf4.h"
#include "lathe/model/scores.h"
#include "lathe/model/summary.h"
#include "lathe/train/task/trained_adapter.h"
#include "lathe/train/validation.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// The base of an adapter, which gets no master copies: in the type that passes read, or in four bits. Scores that
// it has not begin above what it has.
std::unique_ptr<Transformer> load_base(const Recipe& recipe, const Log& log) {
  require(recipe.from.has_value(), ErrorKind::kConfig, "adapter",
          "an adapter acts on a model that exists; set model.from to its folder");
  const std::filesystem::path folder = *recipe.from;
  const bool begins = begins_scores(recipe.model, folder);
  auto model =
      std::make_unique<Transformer>(begins ? without_scores(recipe.model, folder) : recipe.model);
  if (recipe.base.quantization == "nf4") {
    load_as_nf4(*model, folder, recipe.compute_dtype(), recipe.compute_device(),
                recipe.base.double_quant, log);
  } else {
    model->allocate(recipe.compute_dtype(), recipe.compute_device());
    load_weights(*model, folder, log);
  }
  if (!begins) return model;
  log.info("{}", scores_begin(folder, recipe.model));
  return share_with_scores(*model, {recipe.model.num_labels, recipe.model.lm_head_bias},
                           Rng(static_cast<uint64_t>(recipe.train.seed)).fork("init"));
}

// As PEFT does: scores are trained as a whole.
AdapterConfig with_scores(AdapterConfig config, Transformer& model) {
  if (model.config().num_labels == 0) return config;
  const std::string module = score_module(model);
  if (!config.task_type) config.task_type = "SEQ_CLS";
  auto& saved = config.modules_to_save;
  if (std::ranges::find(saved, module) == saved.end()) saved.push_back(module);
  return config;
}

std::shared_ptr<Adapter> make_or_load(const AdapterSection& section, const Recipe& recipe,
                                      Transformer& model, const Log& log) {
  std::shared_ptr<Adapter> adapter = with_master_copies(model, [&] {
    return section.from
               ? load_adapter(*section.from, model, log)
               : make_adapter(with_scores(section.config, model), model,
                              Rng(static_cast<uint64_t>(recipe.train.seed)).fork("adapter"));
  });
  if (!adapter->config().base_model_name_or_path)
    adapter->config().base_model_name_or_path = recipe.from;
  return adapter;
}

}  // namespace

Policy::Policy(const Recipe& recipe, const Log& log) {
  {
    const MemoryLabel label("weights");
    model_ = recipe.adapter ? load_base(recipe, log) : make_training_model(recipe, log);
  }
  // What loading took for a while, in sizes that steps do not need.
  allocator_of(model_->device()).trim();
  if (!recipe.adapter) return;
  const MemoryLabel label("adapter");
  adapter_ = make_or_load(*recipe.adapter, recipe, *model_, log);
  if (adapter_->config().peft_type == "ADALORA")
    allocator_ = std::make_unique<RankAllocator>(*adapter_);
}

Trained Policy::trained() { return trained_of(*model_, adapter_.get()); }

// Below an adapter the gradients of activations are computed, and none of weights: two thirds.
double Policy::flops_per_token(int64_t seq_len) {
  const double all = model_cost(*model_, {.seq_len = seq_len}).training_flops;
  return adapter_ == nullptr ? all : all * 2 / 3;
}

std::shared_ptr<const LoraAdapter> Policy::for_engine() const {
  return adapter_ == nullptr ? nullptr : low_rank_updates(*adapter_, "adapter.peft_type");
}

void Policy::after_update(const StepInfo& update, ParameterGradients& gradients,
                          const TensorOf& masters) {
  if (allocator_ == nullptr) return;
  allocator_->update(update.step - 1, gradients, [&](Parameter& p, std::span<const int64_t> rows) {
    for (const int64_t row : rows) {
      p.value.tensor().narrow(0, row, 1).fill_zero();
      masters(p).narrow(0, row, 1).fill_zero();
    }
  });
}

Json Policy::state() const {
  if (allocator_ == nullptr || allocator_->state().empty()) return nullptr;
  return {{"rank_pattern", adapter_->config().rank_pattern}};
}

void Policy::restore(const Json& state) {
  if (!state.contains("rank_pattern")) return;
  adapter_->config().rank_pattern = state.at("rank_pattern").get<std::vector<std::string>>();
  TensorsByName averages;
  for (const Parameter* p : std::as_const(*adapter_).parameters())
    for (const char* what : {"sensitivity.", "uncertainty."})
      averages[what + p->name] = Tensor::zeros(p->shape, DType::kF64);
  allocator_->restore(std::move(averages));
}

void Policy::for_each_state(const Task::StateFn& f) const {
  if (allocator_ == nullptr) return;
  for (const auto& [name, tensor] : allocator_->state()) f(as_it_is(name, tensor));
}

std::string_view PolicyTask::result_name() const { return policy_.adapter() ? "adapter" : "model"; }

void PolicyTask::write_result(const std::filesystem::path& folder, const TensorOf& values,
                              const ModelFiles& files) {
  if (!policy_.adapter()) return Task::write_result(folder, values, files);
  save_trained_adapter(*policy_.adapter(), policy_.model(), values, folder);
}

ModelFiles PolicyTask::files(const Recipe& recipe) {
  return policy_.adapter() ? ModelFiles() : Task::files(recipe);
}

TaskInputs PolicyTask::inputs_of(const Recipe& recipe, std::string data_hash) const {
  Manifest inputs;
  for (const std::string& file : recipe.data.train) add_input(inputs, file, "rows");
  for (const std::string& text : recipe.data.valid)
    add_input(inputs, parse_named_shard(text).prefix, "rows");
  for (const auto& [what, folder] : models_of(recipe.objective, recipe.model))
    if (!folder.empty()) add_input(inputs, folder, what);
  for (const std::string& folder : recipe.reward.model) add_input(inputs, folder, "reward model");
  if (recipe.adapter && recipe.adapter->from) add_input(inputs, *recipe.adapter->from, "adapter");
  old_mixture_.add_inputs(inputs);
  return {std::move(inputs.inputs), std::move(data_hash)};
}

nlohmann::ordered_json PolicyTask::state() const { return policy_.state(); }

NamedNumbers PolicyTask::old_losses(const StopCheck& stop_if_asked) {
  std::optional<AppliedAdapters> adapters;
  if (policy_.adapter())
    adapters.emplace(std::vector<std::shared_ptr<const Adapter>>{policy_.adapter()});
  return old_mixture_.losses(policy_.model(), adapters ? &*adapters : nullptr, stop_if_asked);
}

void PolicyTask::remember(ParameterGradients& gradients, const RouterStatistics& routers) {
  gradients_ = &gradients;
  routers_ = routers;
}

void PolicyTask::after_update(const StepInfo& update, const TensorOf& masters) {
  update_router_biases(routers_);
  policy_.after_update(update, *gradients_, masters);
}

}  // namespace lathe
