#include "lathe/eval/score/pass_metrics.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/config/literal.h"
#include "lathe/eval/measure/statistics.h"

namespace lathe {
namespace {

bool majority_is_right(const Judged& judged) {
  size_t best = 0;
  int64_t most = 0;
  for (size_t i = 0; i < judged.texts.size(); ++i) {
    const int64_t votes =
        judged.texts[i] == kInvalidAnswer ? 0 : std::ranges::count(judged.texts, judged.texts[i]);
    if (votes > most) {
      most = votes;
      best = i;
    }
  }
  return judged.right[best];
}

}  // namespace

void add_pass_metrics(const TaskConfig& task, const Score& score, nlohmann::ordered_json& metrics) {
  constexpr std::string_view kPass = "pass@";
  for (const std::string& metric : task.metrics)
    for (const Judged& judged : score.judged) {
      const std::string name = judged.filter.empty() ? metric : metric + "@" + judged.filter;
      const auto answers = std::ssize(judged.right);
      if (metric == "exact_match") {
        metrics[name] = judged.right[0] ? 1 : 0;
      } else if (metric == "majority") {
        metrics[name] = majority_is_right(judged) ? 1 : 0;
      } else if (int64_t k = 0;
                 metric.starts_with(kPass) && parse_number(metric.substr(kPass.size()), k)) {
        require(k <= answers, ErrorKind::kData, task.file.string(),
                "{} needs {} answers to each item, and there are {}; set samples = {} or more",
                metric, k, answers, k);
        metrics[name] = pass_at_k(answers, std::ranges::count(judged.right, true), k);
      }
    }
}

}  // namespace lathe
