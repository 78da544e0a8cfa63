// Answers to the rows of a made task, judged by its scorer.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "io/temp_folder.h"
#include "lathe/eval/score/pass_metrics.h"
#include "lathe/eval/score/scorer.h"

namespace lathe::testing {

class Judging {
 public:
  using Json = nlohmann::ordered_json;

  // `keys`: lines of TOML beside name, kind, data and prompt.
  Judging(const std::string& keys, const std::vector<Json>& rows, AnswerSource* judge = nullptr) {
    std::string lines;
    for (const Json& row : rows) lines += row.dump() + "\n";
    folder_.write("rows.jsonl", lines);
    task_.emplace(parse_task_config("name = \"t\"\nkind = \"generate\"\ndata = \"rows.jsonl\"\n"
                                    "prompt = \"{{prompt}}\"\n" +
                                        keys,
                                    "t.toml", folder_.path()),
                  0, Rng(0));
    scorer_ = make_scorer(*task_, {.judge = judge});
  }

  // Of the first rows: responses[i] to row i.
  std::vector<Score> scores(const std::vector<std::vector<std::string>>& responses) {
    std::vector<EvalItem> items;
    for (size_t i = 0; i < responses.size(); ++i) {
      items.push_back(task_->item(static_cast<int64_t>(i)));
      items.back().place = fmt::format("rows.jsonl:{}", i + 1);
    }
    std::vector<Answered> answered;
    for (size_t i = 0; i < responses.size(); ++i)
      answered.push_back(
          {.item = items[i], .row = task_->rows().rows[i].fields, .responses = responses[i]});
    std::vector<Score> all(answered.size());
    scorer_->score(
        answered, [&](size_t item, Score score) { all[item] = std::move(score); }, [] {});
    return all;
  }
  Score score(const std::vector<std::string>& responses) { return scores({responses}).at(0); }

  // All metrics of the first row.
  Json metrics(const std::vector<std::string>& responses) {
    const Score made = score(responses);
    Json all = made.metrics;
    add_pass_metrics(task_->config(), made, all);
    return all;
  }

 private:
  TempFolder folder_;
  std::optional<EvalTask> task_;
  std::unique_ptr<Scorer> scorer_;
};

// Who answers what a function says of the item and its number among those that are asked; keeps what it was asked.
class FakeSource : public AnswerSource {
 public:
  using Answer = std::function<EvalAnswer(const EvalItem&, size_t)>;
  explicit FakeSource(Answer answer) : answer_(std::move(answer)) {}
  explicit FakeSource(std::function<std::string(const std::string& prompt)> text)
      : answer_([text = std::move(text)](const EvalItem& item, size_t) {
          EvalAnswer answer;
          answer.responses = {text(item.prompts[0])};
          return answer;
        }) {}

  void ask(const TaskConfig& task, std::span<const EvalItem> items,
           const std::function<void(std::span<NumberedAnswer>)>& take) override {
    tasks.push_back(task);
    for (size_t i = 0; i < items.size(); ++i) {
      asked.push_back(items[i]);
      NumberedAnswer answer{.item = i, .answer = answer_(items[i], i)};
      take(std::span(&answer, 1));
    }
  }

  std::vector<TaskConfig> tasks;
  std::vector<EvalItem> asked;

 private:
  Answer answer_;
};

// The refusal of a task or of an answer to its row, without the folder.
inline std::string refusal_of(const std::string& keys, const nlohmann::ordered_json& row,
                              const std::string& response = "x") {
  return error_text([&] { Judging(keys, {row}).metrics({response}); });
}

}  // namespace lathe::testing
