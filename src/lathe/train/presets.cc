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

// What those of one kind have on top of it.
constexpr std::string_view kLabels = R"(
train.budget = "3 epochs"
)";
constexpr std::string_view kJudge = R"(
train.budget = "1 epochs"
)";
constexpr std::string_view kPreference = R"(
train.budget = "1 epochs"
optim.lr = 1e-6
schedule.warmup_ratio = 0.1
)";
constexpr std::string_view kRollouts = R"(
train.batch_size = 32
train.budget = "1 epochs"
optim.lr = 1e-6
schedule.name = "constant"
reward.functions = ["exact_match"]
)";
constexpr std::string_view kPairs = "prompt, chosen and rejected",
                           kJudged = "prompt, and what the reward needs";

constexpr TrainPreset kPresets[] = {
    {"sft", "fine-tune a model on conversations, instructions or completions",
     "messages, conversations, instruction and output, or prompt and completion", kLabels, R"(
objective.name = "sft"
)"},
    {"reward", "train a reward model on pairs of answers", kPairs, kJudge, R"(
objective.name = "reward"
objective.center_rewards_coefficient = 0.01
)"},
    {"prm", "train a process reward model on answers whose steps are labelled right or wrong",
     "prompt, completions (the steps) and labels", kJudge, R"(
objective.name = "prm"
)"},
    {"dpo", "align a model with pairs of a chosen and a rejected answer", kPairs, kPreference, R"(
objective.name = "dpo"
)"},
    {"kto", "align a model with answers that are labelled good or bad",
     "prompt, completion and label", kPreference, R"(
objective.name = "kto"
)"},
    {"orpo", "fine-tune and align in one stage, without a reference", kPairs, kPreference, R"(
objective.name = "orpo"
optim.lr = 8e-6
)"},
    {"simpo", "align without a reference, by the likelihood per token", kPairs, kPreference, R"(
objective.name = "cpo"
objective.loss = "simpo"
objective.beta = 2.0
objective.cpo_alpha = 0.0
objective.simpo_gamma = 1.0
)"},
    {"online_dpo", "align with pairs of the model's own answers, judged by rewards", kJudged,
     kRollouts, R"(
objective.name = "online_dpo"
)"},
    {"ppo", "reinforce with a critic (objective.critic) and rewards", kJudged, kRollouts, R"(
objective.name = "ppo"
objective.num_generations = 1
schedule.name = "cosine"
)"},
    {"grpo", "reinforce with groups of answers and rewards", kJudged, kRollouts, R"(
objective.name = "grpo"
)"},
    {"rloo", "reinforce with the other answers as the baseline", kJudged, kRollouts, R"(
objective.name = "rloo"
objective.beta = 0.05
)"},
    {"distill", "learn a teacher's distributions (objective.teacher) on given answers",
     "as for sft", kLabels, R"(
objective.name = "distill"
)"},
};

}  // namespace

std::span<const TrainPreset> train_presets() { return kPresets; }

nlohmann::ordered_json preset_recipe(const TrainPreset& preset, const std::string& model,
                                     const std::vector<std::string>& data) {
  nlohmann::ordered_json tree;
  for (const std::string_view part : {kCommon, preset.kind, preset.recipe})
    tree.merge_patch(parse_toml(part, preset.name));
  tree["model"]["from"] = model;
  tree["data"]["train"] = data;
  tree["train"]["seq_len"] = std::min(kTokens, read_model_config(model).max_position_embeddings);
  tree["train"]["out"] = "runs/" + std::string(preset.name);
  return tree;
}

}  // namespace lathe
