#include "lathe/eval/score/comparison.h"

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/eval/score/answer_pattern.h"
#include "lathe/eval/score/pass_metrics.h"
#include "lathe/text/jinja/characters.h"

namespace lathe {
namespace {

class Comparison : public Scorer {
 public:
  explicit Comparison(const EvalTask& task) {
    const TaskConfig& c = task.config();
    const std::string file = c.file.string();
    require(c.target.has_value(), ErrorKind::kConfig, file,
            "has no target, with which answers could be compared; set target, or a scorer");
    for (const AnswerFilter& filter : c.filters)
      filters_.push_back(
          {c.filters.size() > 1 ? filter.name : "",
           AnswerPattern(filter.regex, filter.which, file, "filters." + filter.name)});
    for (const std::string& each : c.normalize)
      removed_.push_back(task_expression(each, file, "normalize"));
  }

  void score(std::span<const Answered> items, const TakeScore& take,
             const std::function<void()>& while_waiting) override {
    for (size_t i = 0; i < items.size(); ++i) {
      while_waiting();
      take(i, score_of(items[i]));
    }
  }

 private:
  struct Filter {
    std::string name;
    AnswerPattern pattern;
  };

  Score score_of(const Answered& item) const {
    Score score;
    const std::string target = compared(*item.item.target);
    if (filters_.empty()) score.judged.push_back(judged("", item.responses, target, nullptr));
    for (const Filter& filter : filters_)
      score.judged.push_back(judged(filter.name, item.responses, target, &filter));
    return score;
  }

  static std::string found_by(const AnswerPattern& pattern, const std::string& text) {
    const auto found = pattern.in(text);
    return found ? found->text : std::string(kInvalidAnswer);
  }

  std::string compared(const std::string& text) const {
    if (removed_.empty()) return std::string(jinja::strip_left(jinja::strip_right(text)));
    std::string left = text;
    for (const Regex& each : removed_) left = each.removed_from(left);
    return jinja::lower_case_of(left);
  }

  Judged judged(std::string name, std::span<const std::string> responses, const std::string& target,
                const Filter* filter) const {
    Judged judged{.filter = std::move(name), .texts = {}, .right = {}};
    for (const std::string& response : responses) {
      const std::string text = replace_invalid_utf8(response);
      judged.texts.push_back(filter ? found_by(filter->pattern, text) : text);
      judged.right.push_back(compared(judged.texts.back()) == target);
    }
    return judged;
  }

  std::vector<Filter> filters_;
  std::vector<Regex> removed_;
};

}  // namespace

std::unique_ptr<Scorer> make_comparison(const EvalTask& task) {
  return std::make_unique<Comparison>(task);
}

}  // namespace lathe
