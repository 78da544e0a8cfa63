#include "lathe/train/example/example_file.h"

#include <exception>
#include <limits>
#include <mutex>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/config/json_text.h"
#include "lathe/corpus/json_values.h"
#include "lathe/io/hash.h"
#include "lathe/train/example/data_card.h"
#include "lathe/train/example/example_encoder.h"
#include "lathe/train/example/id_row.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxRowBytes = size_t{64} << 20;
constexpr size_t kRowsAtOnce = 1024;

struct RowText {
  std::string place, json;
  size_t line;
};

class Reading {
 public:
  Reading(const ExampleOptions& options, const Log& log, const OnRow& on_row)
      : options_(options), log_(log), on_row_(on_row) {
    if (options.card) card_.emplace(DataCardOptions{.examples = options, .against = {}});
  }

  // Encodes the rows and appends what is left of their examples.
  void add(const std::vector<RowText>& rows) {
    std::vector<std::vector<Example>> made(rows.size());
    std::vector<std::exception_ptr> errors(rows.size());
    std::vector<std::string> lost(rows.size());
    std::vector<Json> parsed(rows.size());
    parallel_for(std::ssize(rows), 8, [&](int64_t i) {
      const auto row = static_cast<size_t>(i);
      try {
        parsed[row] = parsed_row(rows[row]);
        made[row] = examples_of(rows[row], parsed[row]);
      } catch (const NotEncodable& error) {
        lost[row] = error.what();
      } catch (...) {  // an exception cannot leave a parallel loop; the first is thrown below
        errors[row] = std::current_exception();
      }
    });
    for (size_t i = 0; i < rows.size(); ++i) {
      if (errors[i] != nullptr) std::rethrow_exception(errors[i]);
      if (card_) card_->add(parsed[i], rows[i].place);
      if (on_row_) on_row_(parsed[i], rows[i].place);
      if (lost[i].empty())
        take(std::move(made[i]));
      else if (++set_.skipped["not_encodable"] == 1)
        log_.warn("left out, as others for the same reason: {}", lost[i]);
    }
    set_.rows += std::ssize(rows);
  }

  ExampleSet finish() {
    const auto said = [](const std::map<std::string, int64_t>& counts) {
      std::string text;
      for (const auto& [why, count] : counts)
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, why);
      return text;
    };
    require(
        !set_.examples.empty(), ErrorKind::kData, "data.train",
        "none of {} rows can be learnt from: {}; an example needs an answer with at least one token "
        "that is trained on, and at most train.seq_len = {} tokens",
        set_.rows, set_.skipped.empty() ? "there are none" : said(set_.skipped), options_.seq_len);
    if (!set_.skipped.empty())
      log_.warn("of {} rows these were left out: {}", set_.rows, said(set_.skipped));
    if (!set_.changed.empty()) log_.info("of {} rows: {}", set_.rows, said(set_.changed));
    if (card_) set_.card = std::make_shared<const DataCard>(card_->finish());
    return std::move(set_);
  }

 private:
  // Made for the first row of words, since rows of ids need no tokenizer.
  const ExampleEncoder& encoder(const std::string& place) {
    require(
        options_.tokenizer.has_value(), ErrorKind::kConfig, place,
        "the row has words, but there is no tokenizer; set data.tokenizer, or model.from to a folder "
        "that has one");
    std::call_once(make_encoder_, [&] {
      try {
        encoder_.emplace(
            *options_.tokenizer,
            EncodingOptions{.encoder = options_.encoder,
                            .mask_history = options_.mask_history,
                            .prompts = options_.kind == ExampleKind::kPrompt,
                            .eos_token_id = options_.eos_token_id,
                            .step_separator = options_.kind == ExampleKind::kSteps
                                                  ? std::optional(options_.step_separator)
                                                  : std::nullopt});
      } catch (const Error&) {  // for every row, and not read again for each
        encoder_error_ = std::current_exception();
      }
    });
    if (encoder_error_ != nullptr) std::rethrow_exception(encoder_error_);
    return *encoder_;
  }

  static Json parsed_row(const RowText& text) {
    Json row = parse_json(text.json, text.place.substr(0, text.place.rfind(':')),
                          {.first_line = text.line, .error_kind = ErrorKind::kData});
    require(row.is_object(), ErrorKind::kData, text.place, "the row is {}, expected an object",
            row.type_name());
    return row;
  }

  // Thread-safe.
  std::vector<Example> examples_of(const RowText& text, const Json& row) {
    std::vector<Example> examples;
    if (is_id_row(row)) {
      examples.push_back(example_of_ids(row, options_.kind, text.place));
    } else {
      const ExampleEncoder& words = encoder(text.place);
      WordRow read = read_word_row(row, options_.kind, text.place);
      if (!options_.tools.empty()) offer_tools(read, text.place);
      examples = words.encode(read, text.place);
      for (Example& example : examples) read_judgement(row, options_.kind, example);
    }
    for (Example& example : examples) {
      check_ids(example);
      if (options_.kind == ExampleKind::kPrompt) example.row = text.json;
    }
    return examples;
  }

  // Rows that name their tools get the schemas of these; rows that say nothing, all.
  void offer_tools(WordRow& row, const std::string& place) const {
    require(
        !row.prompt, ErrorKind::kData, place,
        "tools are called in a conversation, but the prompt is a text; give it as messages, or leave "
        "objective.tools out");
    const Json offered = Json::parse(options_.tools);
    Json& own = row.conversation["tools"];
    if (own.is_null() || own.empty()) own = offered;
    if (!own.is_array() || !std::ranges::all_of(own, &Json::is_string)) return;
    Json chosen = Json::array();
    for (const Json& tool : offered)
      if (std::ranges::find(own, tool.at("function").at("name")) != own.end())
        chosen.push_back(tool);
    own = std::move(chosen);
  }

  void check_ids(const Example& example) const {
    const auto check = [&](const std::vector<int32_t>& ids) {
      for (const int32_t id : ids)
        require(
            id < options_.vocab_size, ErrorKind::kData, example.place,
            "token {} is outside the model's vocabulary of {}; the rows and the model must have one "
            "tokenizer",
            id, options_.vocab_size);
    };
    check(example.prompt);
    for (const Answer& answer : example.answers) check(answer.ids);
  }

  void take(std::vector<Example> examples) {
    if (examples.empty()) ++set_.skipped["empty_answer"];
    if (examples.size() > 1) ++set_.changed["conversations became a row for each turn"];
    for (Example& example : examples) {
      if (const std::string why = why_skipped(example); !why.empty())
        ++set_.skipped[why];
      else
        set_.examples.push_back(std::move(example));
    }
  }

  // Empty for an example that can be learnt from, which is shortened if it must be.
  std::string why_skipped(Example& example) {
    const auto equal_answers = [&] {
      for (size_t i = 0; i < example.answers.size(); ++i)
        for (size_t j = 0; j < i; ++j)
          if (example.answers[i].ids == example.answers[j].ids) return true;
      return false;
    };
    for (const Answer& answer : example.answers)
      if (answer.trained_count() == 0) return "empty_answer";
    if (equal_answers()) return "equal_answers";
    if (example.prompt.empty()) return "empty_prompt";
    if (options_.seq_len == 0 || longest(example) <= options_.seq_len) return "";
    if (options_.truncation == "drop" || !shorten(example)) return "too_long";
    if (equal_answers()) return "equal_answers";  // up to where they were cut
    ++set_.changed[fmt::format("shortened to {} tokens", options_.seq_len)];
    return "";
  }

  int64_t longest(const Example& example) const {
    int64_t most = 0;
    for (const Answer& answer : example.answers) most = std::max(most, std::ssize(answer.ids));
    if (options_.encoder) return std::max(most, std::ssize(example.prompt));
    return std::ssize(example.prompt) + most;
  }

  // keep_end takes from the prompt's beginning, keep_start from the answers' ends. False where that
  // leaves nothing to learn.
  bool shorten(Example& example) const {
    const int64_t over = longest(example) - options_.seq_len;
    if (options_.truncation == "keep_end" && !options_.encoder) {
      if (over >= std::ssize(example.prompt)) return false;
      example.prompt.erase(example.prompt.begin(), example.prompt.begin() + over);
      return true;
    }
    const int64_t room = options_.seq_len - (options_.encoder ? 0 : std::ssize(example.prompt));
    if (room <= 0 || std::ssize(example.prompt) > options_.seq_len) return false;
    for (Answer& answer : example.answers) {
      if (std::ssize(answer.ids) <= room) continue;
      answer.ids.resize(static_cast<size_t>(room));
      answer.trained.resize(static_cast<size_t>(room));
      for (auto* numbers : {&example.old_logps, &example.old_values})
        if (!numbers->empty()) numbers->resize(static_cast<size_t>(room));
      if (answer.trained_count() == 0) return false;
    }
    if (!example.step_labels.empty())
      example.step_labels.resize(static_cast<size_t>(example.answers[0].trained_count()));
    return true;
  }

  const ExampleOptions& options_;
  const Log& log_;
  const OnRow& on_row_;
  std::optional<DataCardMaker> card_;
  std::once_flag make_encoder_;
  std::optional<ExampleEncoder> encoder_;
  std::exception_ptr encoder_error_;
  ExampleSet set_;
};

}  // namespace

ExampleSet read_examples(const std::vector<std::string>& files, const ExampleOptions& options,
                         const Log& log, const std::function<void(int64_t rows)>& on_progress,
                         const OnRow& on_row) {
  Reading reading(options, log, on_row);
  Hasher hasher;
  std::vector<RowText> rows;
  int64_t left = options.rows.value_or(std::numeric_limits<int64_t>::max()), read = 0;
  const auto flush = [&] {
    reading.add(rows);
    read += std::ssize(rows);
    if (on_progress) on_progress(read);
    rows.clear();
  };
  for (const std::string& file : files) {
    hasher.update(hash_file(file));
    JsonValues values(PackedFile(file), kMaxRowBytes);
    std::string_view value;
    while (left > 0 && values.next(value)) {
      --left;
      const int64_t line = values.line_number();
      rows.push_back(
          {fmt::format("{}:{}", file, line), std::string(value), static_cast<size_t>(line)});
      if (rows.size() == kRowsAtOnce) flush();
    }
  }
  flush();
  ExampleSet set = reading.finish();
  set.hash = hasher.hex();
  return set;
}

}  // namespace lathe
