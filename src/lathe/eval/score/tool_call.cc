#include "lathe/eval/score/tool_call.h"

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/eval/score/calls/allowed_calls.h"
#include "lathe/eval/score/calls/written_calls.h"

namespace lathe {
namespace {

// The task's target, where it has one, or the row's ground_truth.
nlohmann::ordered_json truth_of(const Answered& item) {
  if (item.item.target)
    return nlohmann::ordered_json::parse(*item.item.target, nullptr, /*allow_exceptions=*/false);
  const auto found = item.row.find("ground_truth");
  return found == item.row.end() ? nlohmann::ordered_json() : *found;
}

std::vector<AllowedCall> allowed_by(const Answered& item) {
  const nlohmann::ordered_json truth = truth_of(item);
  require(truth.is_array(), ErrorKind::kData, item.item.place,
          "{} is {}, expected a list of the calls that are right, empty for none",
          item.item.target ? "target" : "ground_truth",
          truth.is_null()        ? "absent"
          : truth.is_discarded() ? "no JSON"
                                 : truth.type_name());
  std::vector<AllowedCall> all;
  for (const auto& each : truth) all.emplace_back(each, item.row, item.item.place);
  return all;
}

// Empty for calls that are allowed.
std::string fault_of(const std::vector<AllowedCall>& allowed, const std::string& response) {
  const auto written = calls_in(response);
  if (!written && !allowed.empty()) return "it is no call";
  return difference_of(allowed, written.value_or(std::vector<WrittenCall>()));
}

class ToolCallScorer : public Scorer {
 public:
  void score(std::span<const Answered> items, const TakeScore& take,
             const std::function<void()>& while_waiting) override {
    for (size_t i = 0; i < items.size(); ++i) {
      while_waiting();
      take(i, score_of(items[i]));
    }
  }

 private:
  static Score score_of(const Answered& item) {
    const std::vector<AllowedCall> allowed = allowed_by(item);
    Score score;
    Judged& judged = score.judged.emplace_back();
    for (const std::string& response : item.responses) {
      judged.texts.push_back(replace_invalid_utf8(response));
      const std::string fault = fault_of(allowed, judged.texts.back());
      if (judged.right.empty()) score.reason = fault;
      judged.right.push_back(fault.empty());
    }
    return score;
  }
};

}  // namespace

std::unique_ptr<Scorer> make_tool_call(const EvalTask&, const ScorerContext&) {
  return std::make_unique<ToolCallScorer>();
}

}  // namespace lathe
