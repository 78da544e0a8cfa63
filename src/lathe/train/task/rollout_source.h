// Where the rollouts of a step come from: prompts in the recipe's order, answers of the engine, rewards.
#pragma once

#include <vector>

#include "lathe/text/tokenizer.h"
#include "lathe/train/example/example_file.h"
#include "lathe/train/objective/rollout_config.h"
#include "lathe/train/reward/rewards.h"
#include "lathe/train/task.h"
#include "lathe/train/task/policy.h"
#include "lathe/train/task/rollout.h"
#include "lathe/train/task/sampling.h"
#include "lathe/train/task/tool_turns.h"

namespace lathe {

// Not thread-safe.
class RolloutSource {
 public:
  // Reads the prompts and loads reward models. Errors: those of read_examples(), load_tokenizer() and Rewards.
  // The policy outlives it.
  RolloutSource(const Recipe& recipe, const RolloutConfig& config, Policy& policy,
                const TrainCallbacks& callbacks);

  // Error kConfig if programs that the model writes cannot run here (PythonSandbox::prepare()).
  void check();

  // The rollouts of a step, from 1, group by group: a pure function of the weights, the recipe, the step and the
  // position. Error kData if the verifier judged none of them.
  std::vector<Rollout> draw(int64_t step, Policy& policy, const StopCheck& stop_if_asked);
  // The step that was drawn last has been taken.
  void advance() { position_ = next_position_; }
  // With dynamic sampling, how many prompts earlier steps have used: what a checkpoint keeps.
  std::optional<int64_t> position() const;
  void set_position(int64_t position) { position_ = position; }

  const ExampleSet& prompts() const { return *prompts_; }

 private:
  std::vector<const Example*> prompts_at(int64_t first, int64_t count) const;
  std::vector<Rollout> answers_to(const std::vector<const Example*>& prompts, int64_t first_group,
                                  const Rng& stream, Policy& policy,
                                  const StopCheck& stop_if_asked);
  std::shared_ptr<const PromptRow> row_of(const Example& prompt) const;
  void go_on(std::vector<Rollout>& rollouts, const std::vector<Rng>& streams, RolloutEngine& engine,
             const StopCheck& stop_if_asked);
  void append_replies(std::vector<Rollout>& rollouts, const std::vector<int64_t>& begins,
                      std::vector<size_t>& open, const StopCheck& stop_if_asked);
  bool append_reply(Rollout& rollout, std::optional<ToolTurns::Reply> reply) const;
  std::string text_of(std::vector<int32_t> ids, bool ended) const;
  bool changes_when_encoded(const Rollout& rollout) const;
  void read_texts(Rollout& rollout, int64_t last_turn) const;
  void judge(std::vector<Rollout>& rollouts, const StopCheck& stop_if_asked);
  void leave_out_failed(std::vector<Rollout>& rollouts) const;
  void find_collapsed(std::vector<Rollout>& rollouts) const;
  int64_t leave_out_collapsed(std::vector<Rollout>& rollouts) const;
  void require_some(const std::vector<Rollout>& rollouts, int64_t step) const;
  void say_if_short(int64_t step, int64_t groups, int64_t wanted);

  const Recipe recipe_;
  const RolloutConfig config_;
  const std::shared_ptr<const ExampleSet> prompts_;
  const Tokenizer tokenizer_;
  Rewards rewards_;
  std::optional<ToolTurns> turns_;
  const Log log_;
  int64_t position_ = 0, next_position_ = 0;  // among the prompts, with dynamic sampling
  int64_t short_steps_ = 0;
};

}  // namespace lathe
