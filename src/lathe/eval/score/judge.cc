#include "lathe/eval/score/judge.h"

#include <algorithm>
#include <optional>

#include "lathe/base/utf8.h"
#include "lathe/config/literal.h"
#include "lathe/eval/score/answer_pattern.h"
#include "lathe/eval/task/key_template.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// How a judge grades: what it is asked of one response, and what its texts amount to.
class Grading {
 public:
  virtual ~Grading() = default;
  // The variables of each question about a response.
  virtual std::vector<Json> questions(const Answered& item, const std::string& response) const = 0;
  // Of the text that answers question number `question`; null for none.
  virtual Json verdict_in(const std::string& text, size_t question) const = 0;
  // The metrics of a response from its verdicts, of which none is null.
  virtual Json metrics_of(std::span<const Json> verdicts) const = 0;
  virtual std::vector<std::string> metrics() const = 0;
};

class Rating : public Grading {
 public:
  explicit Rating(const TaskConfig& c)
      : judge_(*c.judge), pattern_(*judge_.rating, judge_.which, c.file.string(), "judge.rating") {}

  std::vector<Json> questions(const Answered&, const std::string& response) const override {
    return {{{"response", response}}};
  }
  Json verdict_in(const std::string& text, size_t) const override {
    const auto found = pattern_.in(text);
    double rating = 0;
    const bool is_one = found && parse_number(found->text, rating) && rating >= *judge_.lowest &&
                        rating <= *judge_.highest;
    return is_one ? Json(rating) : Json(nullptr);
  }
  Json metrics_of(std::span<const Json> verdicts) const override {
    return {{"rating", verdicts[0]}};
  }
  std::vector<std::string> metrics() const override { return {"rating"}; }

 private:
  const JudgeConfig& judge_;
  AnswerPattern pattern_;
};

class Comparing : public Grading {
 public:
  explicit Comparing(const TaskConfig& c)
      : judge_(*c.judge), baseline_(c, "judge.baseline", *judge_.baseline) {
    const auto add = [&](const std::optional<std::string>& source, const char* key,
                         const char* in_first, const char* in_second) {
      if (source)
        sides_.push_back(
            {AnswerPattern(*source, judge_.which, c.file.string(), key), {in_first, in_second}});
    };
    add(judge_.first, "judge.first", "win", "loss");
    add(judge_.second, "judge.second", "loss", "win");
    add(judge_.tie, "judge.tie", "tie", "tie");
  }

  std::vector<Json> questions(const Answered& item, const std::string& response) const override {
    const std::string other = baseline_.rendered(item.row, item.item.place).text;
    return {{{"first", response}, {"second", other}}, {{"first", other}, {"second", response}}};
  }
  // In question 0 the response is the first, in question 1 the second.
  Json verdict_in(const std::string& text, size_t question) const override {
    std::optional<size_t> place;
    Json verdict = nullptr;
    for (const Side& side : sides_) {
      const auto found = side.pattern.in(text);
      if (!found) continue;
      if (place && found->begin == *place) verdict = nullptr;
      const bool wins =
          !place || (judge_.which == "last" ? found->begin > *place : found->begin < *place);
      if (!wins) continue;
      place = found->begin;
      verdict = side.verdict[question];
    }
    return verdict;
  }
  Json metrics_of(std::span<const Json> verdicts) const override {
    const bool same = verdicts[0] == verdicts[1];
    const double value = !same || verdicts[0] == "tie" ? 0.5 : verdicts[0] == "win" ? 1 : 0;
    return {{"win_rate", value}, {"consistency", same ? 1 : 0}};
  }
  std::vector<std::string> metrics() const override { return {"win_rate", "consistency"}; }

 private:
  struct Side {
    AnswerPattern pattern;
    const char* verdict[2];  // by question
  };

  const JudgeConfig& judge_;
  KeyTemplate baseline_;
  std::vector<Side> sides_;
};

std::unique_ptr<Grading> grading_of(const TaskConfig& c) {
  if (c.judge->rating) return std::make_unique<Rating>(c);
  return std::make_unique<Comparing>(c);
}

// How the judge is asked, as a task of its own.
TaskConfig task_of_judge(const TaskConfig& c) {
  TaskConfig task;
  task.file = c.file;
  task.name = c.name + ": judge";
  task.kind = "generate";
  task.max_tokens = c.judge->max_tokens;
  return task;
}

class Judge : public Scorer {
 public:
  Judge(const EvalTask& task, AnswerSource& judge)
      : config_(task.config()),
        asked_(task_of_judge(config_)),
        prompt_(config_, "judge.prompt", config_.judge->prompt),
        grading_(grading_of(config_)),
        judge_(judge) {
    if (config_.judge->system) system_.emplace(config_, "judge.system", *config_.judge->system);
  }

  void check(const Answered& item) const override { questions_about(item); }

  void score(std::span<const Answered> items, const TakeScore& take,
             const std::function<void()>& while_waiting) override {
    std::vector<EvalItem> questions;
    std::vector<Open> open;
    std::vector<size_t> item_of;  // of each question
    for (size_t i = 0; i < items.size(); ++i) {
      std::vector<EvalItem> about = questions_about(items[i]);
      open.push_back({.first = questions.size(), .left = about.size(), .answers = {}});
      open.back().answers.resize(about.size());
      item_of.insert(item_of.end(), about.size(), i);
      std::ranges::move(about, std::back_inserter(questions));
    }
    judge_.ask(asked_, questions, [&](std::span<NumberedAnswer> answers) {
      while_waiting();
      for (NumberedAnswer& each : answers) {
        const size_t i = item_of[each.item];
        open[i].answers[each.item - open[i].first] = std::move(each);
        if (--open[i].left > 0) continue;
        const auto about = std::span(questions).subspan(open[i].first, open[i].answers.size());
        take(i, score_of(about, open[i].answers, items[i].responses.size()));
      }
    });
  }

 private:
  // An item of which not all questions are answered.
  struct Open {
    size_t first, left;  // its questions: their beginning, and how many are open
    std::vector<NumberedAnswer> answers;
  };

  // Those about each response, in their order.
  std::vector<EvalItem> questions_about(const Answered& item) const {
    std::vector<EvalItem> questions;
    for (const std::string& response : item.responses)
      for (const Json& variables : grading_->questions(item, replace_invalid_utf8(response))) {
        Json fields = item.row;
        fields["request"] = item.item.prompts[0];
        fields.update(variables);
        EvalItem& question = questions.emplace_back();
        question.id = item.item.id;
        question.place = item.item.place;
        question.prompts = {prompt_.rendered(fields, question.place).text};
        if (system_) question.system = system_->rendered(fields, question.place).text;
      }
    return questions;
  }

  Score score_of(std::span<const EvalItem> questions, std::span<const NumberedAnswer> answers,
                 size_t responses) const {
    Score score{.judgements = Json::array(), .known = true};
    const size_t each = questions.size() / responses;
    Json values = Json::object();  // of each metric a list
    for (const std::string& name : grading_->metrics()) values[name] = Json::array();
    for (size_t r = 0; r < responses; ++r) {
      std::vector<Json> verdicts;
      for (size_t q = 0; q < each; ++q) {
        const NumberedAnswer& answer = answers[r * each + q];
        score.known = score.known && answer.known;
        score.judgements.push_back(judgement_of(questions[r * each + q], answer.answer, q));
        verdicts.push_back(score.judgements.back()["verdict"]);
      }
      const bool none = std::ranges::any_of(verdicts, [](const Json& v) { return v.is_null(); });
      values["no_verdict"].push_back(none ? 1 : 0);
      if (none) {
        if (score.reason.empty()) score.reason = "the judge gave no verdict";
        continue;
      }
      const Json metrics = grading_->metrics_of(verdicts);
      for (const auto& [name, value] : metrics.items()) values[name].push_back(value);
    }
    score.metrics = in_order(values, responses);
    return score;
  }

  Json judgement_of(const EvalItem& question, const EvalAnswer& answer, size_t number) const {
    const std::string text = replace_invalid_utf8(answer.responses.at(0));
    Json judgement = {{"prompt", question.prompts[0]}, {"text", text}};
    if (config_.judge->baseline) judgement["response_is"] = number == 0 ? "first" : "second";
    if (answer.truncated) judgement["truncated"] = true;
    judgement["verdict"] = answer.truncated ? Json(nullptr) : grading_->verdict_in(text, number);
    return judgement;
  }

  // The task's metrics in its order, and no_verdict always; of one response the number itself, where it has one.
  Json in_order(const Json& values, size_t responses) const {
    Json metrics = Json::object();
    std::vector<std::string> names = config_.metrics;
    names.emplace_back("no_verdict");
    for (const std::string& name : names)
      metrics[name] = responses == 1 && !values[name].empty() ? values[name][0] : values[name];
    return metrics;
  }

  const TaskConfig& config_;
  const TaskConfig asked_;
  const KeyTemplate prompt_;
  std::optional<KeyTemplate> system_;
  const std::unique_ptr<const Grading> grading_;
  AnswerSource& judge_;
};

}  // namespace

std::unique_ptr<Scorer> make_judge(const EvalTask& task, const ScorerContext& context) {
  return std::make_unique<Judge>(task, *context.judge);
}

}  // namespace lathe
