// One answer of a policy to a prompt, with what it is worth.
#pragma once

#include <memory>
#include <string>

#include "lathe/train/example/example.h"
#include "lathe/train/reward/rewards.h"

namespace lathe {

struct PromptRow;  // rollout_source.cc

struct Rollout {
  const Example* prompt;
  std::shared_ptr<const PromptRow> row;  // that of the prompt
  Example example;
  std::string completion;  // the last turn, as text
  std::string transcript;  // with tools: all turns, and what the tools said
  std::vector<ToolUse> tool_calls = {};
  std::vector<uint8_t> tool_mask = {};  // with tools, of each id: whether the model wrote it
  RewardResult reward;
  bool ended = false;
  bool retokenized = false;  // its text, encoded again, gives other ids
  bool counts = true;        // in the loss
  bool collapsed = false;    // all answers of its group are worth the same
  double advantage = 0;      // of its first token
  double logps_off = 0;      // the largest |old - new| log-probability of its tokens
};

}  // namespace lathe
