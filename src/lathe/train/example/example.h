// The examples that a model learns from after pretraining: prompts and their answers, as token ids.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// What follows a prompt.
struct Answer {
  std::vector<int32_t> ids;
  std::vector<uint8_t> trained;  // of each id: whether the loss counts it

  int64_t trained_count() const;
};

// A part of an answer's reward, before its weight.
struct RewardTerm {
  double value = 0, weight = 1;
};

// What an objective learns from.
enum class ExampleKind : uint8_t {
  kSingle,    // one answer
  kPair,      // a chosen answer and a rejected one
  kRanking,   // two answers or more, from the best to the worst; a pair is one of two
  kSteps,     // one answer in steps, and whether each of them is right
  kLabelled,  // one answer, and whether it is good
  kRollout,   // one answer that a policy gave, its reward, and the group of answers it belongs to
  kPrompt,    // none: a policy gives the answers
};
// "single answers": for errors.
std::string_view name_of(ExampleKind kind);

struct Example {
  std::string place;            // "file:line", for errors
  std::vector<int32_t> prompt;  // what an encoder reads, in a body that has one
  std::vector<Answer> answers;  // one; of pairs and rankings from the best to the worst
  std::optional<bool> label;
  // Of an answer in steps: whether the step that each trained token ends is right.
  std::vector<uint8_t> step_labels;
  std::optional<double> margin;  // by how much a better answer is better, at least
  double reward = 0;
  std::vector<RewardTerm> rewards;  // its parts; empty where they are not recorded
  int64_t group = 0;
  // Of each id of the answer: its log-probability when it was drawn, and what a critic then said of
  // the text before it; empty where that is not recorded.
  std::vector<double> old_logps, old_values;
  std::string row;  // of a prompt: what stood in the file, as JSON, for those who judge its answers
};

}  // namespace lathe
