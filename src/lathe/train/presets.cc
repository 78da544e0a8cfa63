#include "lathe/train/presets.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/config/recipe_file.h"
#include "lathe/model/load_model.h"

namespace lathe {
namespace {

// What all of them begin with. A learning rate suits models of some hundred million parameters.
constexpr std::string_view kCommon = R"(
[train]
batch_size = 8
checkpoint_every = 200
[optim]
lr = 2e-5
weight_decay = 0.0
beta2 = 0.999
[schedule]
name = "cosine"
warmup_ratio = 0.03
)";

constexpr int64_t kTokens = 1024;  // of a row, where the model reads that many

constexpr TrainPreset kPresets[] = {
    {"sft", "fine-tune a model on conversations, instructions or completions",
     "messages, conversations, instruction and output, or prompt and completion", R"(
objective.name = "sft"
train.budget = "3 epochs"
)"},
    {"reward", "train a reward model on pairs of answers", "prompt, chosen and rejected", R"(
objective.name = "reward"
objective.center_rewards_coefficient = 0.01
train.budget = "1 epochs"
)"},
    {"dpo", "align a model with pairs of a chosen and a rejected answer",
     "prompt, chosen and rejected", R"(
objective.name = "dpo"
train.budget = "1 epochs"
optim.lr = 1e-6
schedule.warmup_ratio = 0.1
)"},
    {"kto", "align a model with answers that are labelled good or bad",
     "prompt, completion and label", R"(
objective.name = "kto"
train.budget = "1 epochs"
optim.lr = 1e-6
schedule.warmup_ratio = 0.1
)"},
    {"orpo", "fine-tune and align in one stage, without a reference", "prompt, chosen and rejected",
     R"(
objective.name = "orpo"
train.budget = "1 epochs"
optim.lr = 8e-6
schedule.warmup_ratio = 0.1
)"},
    {"simpo", "align without a reference, by the likelihood per token",
     "prompt, chosen and rejected", R"(
objective.name = "cpo"
objective.loss = "simpo"
objective.beta = 2.0
objective.cpo_alpha = 0.0
objective.simpo_gamma = 1.0
train.budget = "1 epochs"
optim.lr = 1e-6
schedule.warmup_ratio = 0.1
)"},
    {"ppo", "reinforce with a critic (objective.critic) and rewards",
     "prompt, and what the reward needs", R"(
objective.name = "ppo"
objective.num_generations = 1
train.batch_size = 32
train.budget = "1 epochs"
optim.lr = 1e-6
reward.functions = ["exact_match"]
)"},
    {"grpo", "reinforce with groups of answers and rewards", "prompt, and what the reward needs",
     R"(
objective.name = "grpo"
train.batch_size = 32
train.budget = "1 epochs"
optim.lr = 1e-6
schedule.name = "constant"
reward.functions = ["exact_match"]
)"},
    {"rloo", "reinforce with the other answers as the baseline",
     "prompt, and what the reward needs", R"(
objective.name = "rloo"
objective.beta = 0.05
train.batch_size = 32
train.budget = "1 epochs"
optim.lr = 1e-6
schedule.name = "constant"
reward.functions = ["exact_match"]
)"},
    {"distill", "learn a teacher's distributions (objective.teacher) on given answers",
     "as for sft", R"(
objective.name = "distill"
train.budget = "3 epochs"
)"},
};

}  // namespace

std::span<const TrainPreset> train_presets() { return kPresets; }

nlohmann::ordered_json preset_recipe(const TrainPreset& preset, const std::string& model,
                                     const std::vector<std::string>& data) {
  nlohmann::ordered_json tree = parse_toml(kCommon, preset.name);
  tree.merge_patch(parse_toml(preset.recipe, preset.name));
  tree["model"]["from"] = model;
  tree["data"]["train"] = data;
  tree["train"]["seq_len"] = std::min(kTokens, read_model_config(model).max_position_embeddings);
  tree["train"]["out"] = "runs/" + std::string(preset.name);
  return tree;
}

}  // namespace lathe
