#include "lathe/train/example/example.h"

#include <numeric>

namespace lathe {

int64_t Answer::trained_count() const {
  return std::accumulate(trained.begin(), trained.end(), int64_t{0});
}

std::string_view name_of(ExampleKind kind) {
  switch (kind) {
    case ExampleKind::kSingle:
      return "single answers";
    case ExampleKind::kPair:
      return "pairs of a chosen and a rejected answer";
    case ExampleKind::kRanking:
      return "two or more answers, from the best to the worst";
    case ExampleKind::kSteps:
      return "answers in steps, each right or wrong";
    case ExampleKind::kLabelled:
      return "answers with a label";
    case ExampleKind::kRollout:
      return "rollouts with a reward";
    case ExampleKind::kPrompt:
      return "prompts";
  }
  return "";
}

}  // namespace lathe
