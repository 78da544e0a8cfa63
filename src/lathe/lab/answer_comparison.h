// Two models' answers to the same held-out prompts, compared prompt by prompt.
//
//   win rate = mean of 1 where the first answer has the higher reward, 1/2 where both have the same, else 0
//
// A judge that likes length is talked round by it. The length-controlled rate is what a logistic regression of the
// wins on the difference of lengths gives where there is no difference (Dubois et al. 2024, arXiv:2404.04475):
//
//   P(win) = σ(θ + φ · tanh(Δ / sd(Δ))),   Δ = tokens of the first answer − of the second,   rate = σ(θ)
//
// with a penalty of φ²/2, so that it exists where length tells all wins.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace lathe {

// Answers in the valid_rollouts.jsonl of a run.
struct HeldOutAnswers {
  std::filesystem::path run;
  std::optional<int64_t> step = {};  // default: the last that was validated
};

struct AnswerComparison {
  struct Side {
    int64_t step = 0;
    double reward = 0, length = 0;  // means
  };
  Side first, second;
  int64_t prompts = 0;
  double wins = 0, ties = 0, losses = 0;  // shares of the answers
  double win_rate = 0;
  double error = 0;  // standard error over prompts
  double length_controlled = 0;
};

// By the whole reward, or by one part of it. Several answers to a prompt are compared in their order. Errors: kIo for
// a run without held-out answers; kFormat for a damaged line; kUsage for a step or a part that there is not, and for
// answers to different prompts.
AnswerComparison compare_answers(const HeldOutAnswers& first, const HeldOutAnswers& second,
                                 const std::optional<std::string>& part = {});

}  // namespace lathe
