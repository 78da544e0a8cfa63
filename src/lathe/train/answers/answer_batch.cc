#include "lathe/train/answers/answer_batch.h"

#include <algorithm>

#include "lathe/base/error.h"

namespace lathe {
namespace {

Tensor ids_tensor(const std::vector<int32_t>& ids) {
  return Tensor::of<int32_t>(ids, {std::ssize(ids)});
}

class Maker {
 public:
  Maker(std::span<const Example* const> examples, const AnswerBatchOptions& options)
      : options_(options) {
    batch_.examples.assign(examples.begin(), examples.end());
  }

  AnswerBatch make() {
    size_t answers = 0;
    for (const Example* example : batch_.examples)
      answers = std::max(answers, example->answers.size());
    for (size_t answer = 0; answer < answers; ++answer)
      for (size_t i = 0; i < batch_.examples.size(); ++i) {
        const Example& example = *batch_.examples[i];
        if (answer >= example.answers.size()) continue;
        batch_.places.push_back({i, answer});
        options_.decoder_start ? add_decoded(example, example.answers[answer])
                               : add(example, answer);
      }
    batch_.inputs.rows = Rows::of(sequences_);
    if (options_.decoder_start) batch_.inputs.text = Rows::of(texts_);
    batch_.rows = ids_tensor(rows_);
    batch_.labels = ids_tensor(labels_);
    batch_.last_rows = ids_tensor(last_rows_);
    batch_.scored = Runs(scored_);
    return std::move(batch_);
  }

 private:
  // The token at `position` of the sequence is predicted by the row before it.
  void score(int64_t column, int32_t token, bool in_answer) {
    rows_.push_back(static_cast<int32_t>(first_row_ + column));
    labels_.push_back(token);
    batch_.column.push_back(column);
    batch_.in_answer.push_back(in_answer);
    ++scored_.back();
  }

  void end(std::vector<int32_t> sequence) {
    first_row_ += std::ssize(sequence);
    last_rows_.push_back(static_cast<int32_t>(first_row_ - 1));
    sequences_.push_back(std::move(sequence));
  }

  void add(const Example& example, size_t which) {
    const Answer& answer = example.answers[which];
    std::vector<int32_t> tokens = example.prompt;
    tokens.insert(tokens.end(), answer.ids.begin(), answer.ids.end());
    const int64_t prompt = std::ssize(example.prompt);
    scored_.push_back(0);
    if (options_.score_prompts && which == 0)
      for (int64_t t = 1; t < prompt; ++t) score(t - 1, tokens[static_cast<size_t>(t)], false);
    for (size_t i = 0; i < answer.ids.size(); ++i)
      if (answer.trained[i] != 0) score(prompt + static_cast<int64_t>(i) - 1, answer.ids[i], true);
    if (!options_.whole) tokens.pop_back();
    end(std::move(tokens));
  }

  void add_decoded(const Example& example, const Answer& answer) {
    scored_.push_back(0);
    std::vector<int32_t> tokens = {static_cast<int32_t>(*options_.decoder_start)};
    for (size_t i = 0; i < answer.ids.size(); ++i) {
      if (answer.trained[i] != 0) score(static_cast<int64_t>(i), answer.ids[i], true);
      tokens.push_back(answer.ids[i]);
    }
    if (!options_.whole) tokens.pop_back();
    texts_.push_back(example.prompt);
    end(std::move(tokens));
  }

  const AnswerBatchOptions options_;
  AnswerBatch batch_;
  IdRows sequences_, texts_;
  std::vector<int32_t> rows_, labels_, last_rows_;
  std::vector<int64_t> scored_;
  int64_t first_row_ = 0;
};

}  // namespace

std::vector<double> AnswerBatch::at_scored(std::vector<double> Example::*numbers,
                                           std::string_view name) const {
  std::vector<double> all;
  bool some = false;
  for (int64_t s = 0; s < sequences(); ++s) {
    const Example& example = example_of(s);
    const std::vector<double>& each = example.*numbers;
    require(s == 0 || some == !each.empty(), ErrorKind::kData, example.place,
            "this row {} '{}' and others of its batch {}; give it for all rows or for none",
            each.empty() ? "lacks" : "has", name, each.empty() ? "have it" : "lack it");
    some = !each.empty();
    if (!some) continue;
    const Answer& answer = answer_of(s);
    for (size_t i = 0; i < each.size(); ++i)
      if (answer.trained[i] != 0) all.push_back(each[i]);
  }
  return all;
}

AnswerBatch make_answer_batch(std::span<const Example* const> examples,
                              const AnswerBatchOptions& options) {
  require(!examples.empty(), ErrorKind::kData, "batch", "there is no example");
  return Maker(examples, options).make();
}

}  // namespace lathe
