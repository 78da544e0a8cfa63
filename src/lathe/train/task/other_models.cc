#include "lathe/train/task/other_models.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/model/adapter/adapter_base.h"
#include "lathe/model/load_model.h"
#include "lathe/model/scores.h"
#include "lathe/train/task/trained_adapter.h"

namespace lathe {
namespace {

void require_vocabulary(const Transformer& other, const Recipe& recipe, std::string_view what,
                        const std::string& folder) {
  require(
      other.config().vocab_size == recipe.model.vocab_size, ErrorKind::kConfig,
      fmt::format("objective.{}", what),
      "{} has a vocabulary of {} tokens, but the model that is trained has {}; both must read the same "
      "token ids, so give a model with the same tokenizer",
      folder, other.config().vocab_size, recipe.model.vocab_size);
}

Rng critic_stream(const Recipe& recipe) {
  return Rng(static_cast<uint64_t>(recipe.train.seed)).fork("critic");
}

// It is trained, so it needs master copies.
std::unique_ptr<Transformer> load_critic(const std::string& folder, const Recipe& recipe,
                                         const Log& log) {
  ModelConfig config = read_model_config(folder, log);
  if (config.num_labels == 0) config.num_labels = 1;
  auto model = std::make_unique<Transformer>(config);
  const Device device = recipe.compute_device();
  model->allocate(device == Device::kRef ? DType::kF64 : DType::kF32, device);
  load_or_begin_scores(*model, folder, critic_stream(recipe), log);
  return model;
}

// The policy's adapter, for a model with a score, which is trained as a whole.
AdapterConfig critic_adapter(AdapterConfig config, Transformer& critic) {
  require(
      config.peft_type != "ADALORA", ErrorKind::kConfig, "objective.critic",
      "ranks are only taken from the policy's adapter, not from a critic's; name the folder of a "
      "model with one score, or use adapter.peft_type = \"LORA\"");
  config.task_type = "SEQ_CLS";
  config.trainable_token_indices.clear();
  config.modules_to_save = {score_module(critic)};
  return config;
}

const char* label_of(std::string_view what) {
  return what == "teacher" ? "teacher" : what == "critic" ? "critic" : "reference";
}

}  // namespace

OtherModels::OtherModels(const Recipe& recipe, Policy& policy, const Log& log) : policy_(policy) {
  for (const auto& [what, folder] : models_of(recipe.objective, recipe.model)) {
    const MemoryLabel label(label_of(what));
    const std::string path = folder.empty() ? recipe.from.value_or("") : folder;
    require(
        !path.empty(), ErrorKind::kConfig, "objective." + what,
        "the model starts from random weights, so there is none to stay near; set it to a folder, or "
        "model.from");
    if (what == "reference" && folder.empty() && recipe.adapter) {
      reference_is_base_ = true;  // which does not change
      continue;
    }
    if (what == "critic" && recipe.adapter && (folder.empty() || is_adapter(folder))) {
      make_shared_critic(folder, recipe, log);
      continue;
    }
    std::unique_ptr<Transformer>& model = what == "teacher"  ? teacher_
                                          : what == "critic" ? critic_
                                                             : reference_;
    model = what == "critic" ? load_critic(path, recipe, log)
                             : load_model(path, {.dtype = recipe.compute_dtype(),
                                                 .device = recipe.compute_device(),
                                                 .residence = Residence::kOwn,
                                                 .log = log});
    require_vocabulary(*model, recipe, what, path);
  }
}

void OtherModels::make_shared_critic(const std::string& folder, const Recipe& recipe,
                                     const Log& log) {
  if (!folder.empty()) require_base(folder, recipe.from.value(), "objective.critic", log);
  const Rng rng = critic_stream(recipe);
  critic_ = share_with_scores(policy_.model(), {}, rng);
  critic_adapter_ = with_master_copies(*critic_, [&] {
    return folder.empty() ? make_adapter(critic_adapter(policy_.adapter()->config(), *critic_),
                                         *critic_, rng.fork("adapter"))
                          : load_adapter(folder, *critic_, log);
  });
  if (!critic_adapter_->config().base_model_name_or_path)
    critic_adapter_->config().base_model_name_or_path = recipe.from;
}

AnswerModels OtherModels::all() const {
  return {.policy = &policy_.model(),
          .adapter = policy_.adapter(),
          .critic = critic_.get(),
          .critic_adapter = critic_adapter_,
          .reference = reference_is_base_ ? &policy_.model() : reference_.get(),
          .teacher = teacher_.get()};
}

}  // namespace lathe
