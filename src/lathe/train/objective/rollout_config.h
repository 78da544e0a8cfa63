// How rollouts are drawn: keys that every objective of rollouts has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lathe/config/component.h"
#include "lathe/config/visit.h"

namespace lathe {

// Tools that answers may call, in the syntax of the model's chat template. What a tool says is put into the answer as
// tokens that are not learnt, and the model goes on.
struct RolloutToolConfig {
  std::vector<std::string> tools;
  std::optional<std::string> tool_command;
  std::optional<double> tool_timeout;  // default: 10
  std::optional<int64_t>
      max_tool_calling_iterations;  // default: as many as max_completion_length has room for
  bool any() const { return !tools.empty() || tool_command.has_value(); }
  void visit(Visitor& v);
  void check(const KeyErrors& keys) const;
};

struct RolloutConfig {
  int64_t num_generations = 8;
  int64_t max_completion_length = 256;
  double temperature = 1.0;
  // Of answers to held-out prompts (data.valid).
  std::optional<int64_t> num_generations_eval;  // default: 1
  std::optional<double> temperature_eval;       // default: 0
  RolloutToolConfig tools;
  void visit(Visitor& v);
  void check(const KeyErrors& keys) const;

  // Of objectives that compare the answers of a group: visit() does not have them.
  bool dynamic_sampling = false;
  std::optional<int64_t> max_num_gen_batches;  // default: 10
  bool mask_truncated_completions = false;
  std::string multi_objective_aggregation = "sum_then_normalize";  // of grpo
  void visit_groups(Visitor& v);
};

// A coefficient of the KL divergence in the reward that follows what is measured (Ziegler et al. 2019,
// arXiv:1909.08593, section 2.2).
struct KlControl {
  double initial = 0, target = 0, horizon = 0;
  // After a step of `answers` answers with a mean KL of `kl`:
  // coefficient · (1 + clip(kl / target − 1, ±0.2) · answers / horizon).
  double next(double coefficient, double kl, double answers) const;
};

// Text of pretraining in every step of reinforcement (PPO-ptx of Ouyang et al. 2022, arXiv:2203.02155): to the
// loss is added ptx_coef times the mean negative log-likelihood of its tokens.
struct PretrainingMixConfig {
  double ptx_coef = 0;
  std::vector<std::string> ptx_data;      // parse_shard_choice()
  std::optional<int64_t> ptx_batch_size;  // default: 8
  void visit(Visitor& v);
  void check(const KeyErrors& keys) const;
};

}  // namespace lathe
