// What a run over answers trains: a model, or an adapter on a model that stays as it is.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "lathe/model/adapter/adapter.h"
#include "lathe/model/adapter/lora_adapter.h"
#include "lathe/model/adapter/rank_allocator.h"
#include "lathe/nn/moe/router_statistics.h"
#include "lathe/train/task.h"
#include "lathe/train/task/old_mixture.h"

namespace lathe {

// Not thread-safe.
class Policy {
 public:
  // Errors: those of loading, and of make_adapter() and load_adapter().
  Policy(const Recipe& recipe, const Log& log);

  Transformer& model() { return *model_; }
  const std::shared_ptr<Adapter>& adapter() const {
    return adapter_;
  }  // nullptr: the model is trained
  Trained trained();
  // Forward and backward.
  double flops_per_token(int64_t seq_len);
  // The adapter as the engine takes it; nullptr without one. Error kConfig for a kind that cannot be chosen
  // per request.
  std::shared_ptr<const LoraAdapter> for_engine() const;

  // As in Task; `gradients` are those of the update.
  void after_update(const StepInfo& update, ParameterGradients& gradients, const TensorOf& masters);
  nlohmann::ordered_json state() const;
  void restore(const nlohmann::ordered_json& state);
  void for_each_state(const Task::StateFn& f) const;

 private:
  std::unique_ptr<Transformer> model_;
  std::shared_ptr<Adapter> adapter_;
  std::unique_ptr<RankAllocator> allocator_;  // of AdaLoRA
};

// What tasks that train a policy have in common: everything but what a step is.
class PolicyTask : public Task {
 public:
  PolicyTask(const Recipe& recipe, const Log& log) : policy_(recipe, log), old_mixture_(recipe) {}

  Transformer& model() override { return policy_.model(); }
  std::shared_ptr<const LoraAdapter> adapter_for_engine() override { return policy_.for_engine(); }
  Trained trained() override { return policy_.trained(); }
  std::string_view result_name() const override;
  void write_result(const std::filesystem::path& folder, const TensorOf& values,
                    const ModelFiles& files) override;
  ModelFiles files(const Recipe& recipe) override;
  nlohmann::ordered_json state() const override;
  void restore(const nlohmann::ordered_json& state) override { policy_.restore(state); }
  void for_each_state(const StateFn& f) const override { policy_.for_each_state(f); }
  void after_update(const StepInfo& update, const TensorOf& masters) override;
  NamedNumbers old_losses(const StopCheck& stop_if_asked) override;

 protected:
  // What a run over answers reads, beside model.from and data.tokenizer, which the loop names: the files of
  // rows, the objective's other models, and an adapter that it goes on from. `data_hash` is that of the
  // rows it learns from. Error kIo for one that has gone since it was read.
  TaskInputs inputs_of(const Recipe& recipe, std::string data_hash) const;
  // At the end of gradients(): what after_update() goes by.
  void remember(ParameterGradients& gradients, const RouterStatistics& routers);

  Policy policy_;

 private:
  const OldMixture old_mixture_;
  RouterStatistics routers_;  // of the last step
  ParameterGradients* gradients_ = nullptr;
};

}  // namespace lathe
