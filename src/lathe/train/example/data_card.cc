#include "lathe/train/example/data_card.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "lathe/base/error.h"
#include "lathe/config/json_text.h"
#include "lathe/corpus/json_values.h"
#include "lathe/corpus/language.h"
#include "lathe/corpus/near_duplicates.h"
#include "lathe/corpus/whole_texts.h"
#include "lathe/corpus/word_hashes.h"
#include "lathe/io/hash.h"
#include "lathe/train/example/id_row.h"
#include "lathe/train/example/word_row.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxRowBytes = size_t{64} << 20;
constexpr size_t kShingle = 5;  // words
constexpr double kResemblance = 0.8;
constexpr size_t kShownExamples = 10;

// Whatever a message says, in words.
std::string text_of(const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  if (content.is_null()) return "";
  std::string text;
  if (content.is_structured())
    for (const Json& part : content) text += (text.empty() ? "" : "\n") + text_of(part);
  return content.is_structured() ? text : content.dump();
}

// A row in words, whatever its form.
struct RowWords {
  std::string form, prompt, answers;
  std::map<std::string, int64_t> roles;
};

std::string form_of(const Json& row) {
  for (const char* whole : {"messages", "conversations"})
    if (row.contains(whole) && !row.contains("prompt")) return whole;
  if (row.contains("instruction")) return "instruction, output";
  std::string form;
  for (const char* key :
       {"prompt_ids", "completion_ids", "chosen_ids", "rejected_ids", "answers_ids", "steps_ids",
        "prompt", "question", "completion", "completions", "chosen", "rejected", "answers"})
    if (row.contains(key)) form += (form.empty() ? "" : ", ") + std::string(key);
  return form;
}

void add_message(const Json& message, RowWords& words, std::string& to) {
  const std::string role = message.value("role", "");
  ++words.roles[role];
  for (const char* key : {"content", "reasoning_content", "tool_calls"})
    if (message.contains(key)) to += text_of(message.at(key)) + "\n";
}

RowWords words_of(const Json& row, ExampleKind kind, const std::string& place) {
  RowWords words;
  words.form = form_of(row);
  if (is_id_row(row)) {
    words.prompt = row.at("prompt_ids").dump();
    for (const char* key :
         {"completion_ids", "chosen_ids", "rejected_ids", "answers_ids", "steps_ids"})
      if (row.contains(key)) words.answers += row.at(key).dump() + "\n";
    return words;
  }
  const WordRow read = read_word_row(row, kind, place);
  if (read.prompt) {
    words.prompt = *read.prompt;
    ++words.roles["prompt"];
    for (const std::string& text : read.texts) words.answers += text + "\n";
    if (!read.texts.empty()) words.roles["answer"] += std::ssize(read.texts);
    return words;
  }
  const Json& messages = read.conversation.at("messages");
  const bool whole = read.answers.empty() && kind != ExampleKind::kPrompt;
  size_t prompt = messages.size();
  // Of a conversation the last answer is the answer, for what has no answers of its own.
  if (whole)
    while (prompt > 0 && messages[prompt - 1].value("role", "") == "assistant") --prompt;
  for (size_t i = 0; i < messages.size(); ++i)
    add_message(messages[i], words, i < prompt ? words.prompt : words.answers);
  for (const Json& answer : read.answers)
    for (const Json& message : answer) add_message(message, words, words.answers);
  return words;
}

Json facts(const Lengths& lengths) {
  Json buckets = Json::array();
  for (const Lengths::Bucket& bucket : lengths.histogram())
    buckets.push_back({bucket.first, bucket.last, bucket.count});
  return {{"count", lengths.count()},        {"mean", lengths.mean()},
          {"median", lengths.quantile(0.5)}, {"p95", lengths.quantile(0.95)},
          {"longest", lengths.quantile(1)},  {"histogram", std::move(buckets)}};
}

}  // namespace

class DataCardMaker::Rows {
 public:
  explicit Rows(const DataCardOptions& options)
      : kind_(options.examples.kind), compares_(!options.against.empty()), near_(kResemblance) {
    card_.ngram = options.ngram;
  }

  void add(const Json& row, const std::string& place) { add(words_of(row, kind_, place), place); }

  void compare_with(const std::string& file, const std::function<void()>& on_document) {
    std::set<uint32_t> rows;
    for_each_whole_text(file, [&](std::string_view text) {
      for (const uint64_t gram : ngram_hashes(word_hashes(text), static_cast<size_t>(card_.ngram)))
        if (const auto found = grams_.find(gram); found != grams_.end())
          rows.insert(found->second.begin(), found->second.end());
      if (on_document) on_document();
    });
    card_.overlaps.push_back({file, std::ssize(rows)});
    for (const uint32_t row : rows) note(fmt::format("{} is in {}", places_[row], file));
  }

  DataCard finish() {
    for (const auto& [prompt, answers] : answers_) {
      if (answers.different.size() < 2) continue;
      ++card_.conflicting_prompts;
      card_.conflicting_rows += answers.rows;
      note(fmt::format("{} has {} different answers", places_[answers.first],
                       answers.different.size()));
    }
    return std::move(card_);
  }

 private:
  struct AnswersOf {
    uint32_t first = 0;
    int64_t rows = 0;
    std::set<std::string> different;  // their hashes
  };

  void note(std::string text) {
    if (card_.examples.size() < kShownExamples) card_.examples.push_back(std::move(text));
  }

  void add(const RowWords& row, const std::string& place) {
    const auto number = static_cast<uint32_t>(card_.rows++);
    places_.push_back(place);
    ++card_.forms[row.form];
    for (const auto& [role, count] : row.roles) card_.roles[role] += count;
    const bool ids = row.roles.empty();
    const std::string whole = row.prompt + "\n" + row.answers;
    ++card_.languages[ids ? "ids" : language_of(whole)];
    const std::vector<uint64_t> words = word_hashes(whole);
    card_.words_of_prompts.add(std::ssize(word_hashes(row.prompt)));
    card_.words_of_answers.add(std::ssize(word_hashes(row.answers)));
    find_duplicates(whole, words, number);
    const std::string answers = hash_text(row.answers);
    AnswersOf& same = answers_[hash_text(row.prompt)];
    if (same.rows++ == 0) same.first = number;
    same.different.insert(answers);
    if (compares_) remember(words, number);
  }

  void find_duplicates(const std::string& whole, const std::vector<uint64_t>& words,
                       uint32_t number) {
    if (const auto [found, fresh] = exact_.try_emplace(hash_text(whole), number); !fresh) {
      ++card_.exact_duplicates;
      note(fmt::format("{} equals {}", places_[number], places_[found->second]));
      return;
    }
    const size_t n = std::min(kShingle, std::max<size_t>(1, words.size()));
    const auto like = near_.add(ngram_hashes(words, n));
    compared_.push_back(number);
    if (!like) return;
    ++card_.near_duplicates;
    note(fmt::format("{} is nearly {}", places_[number], places_[compared_[*like]]));
  }

  void remember(const std::vector<uint64_t>& words, uint32_t number) {
    const std::vector<uint64_t> grams = ngram_hashes(words, static_cast<size_t>(card_.ngram));
    if (grams.empty()) ++card_.too_short;
    for (const uint64_t gram : grams) {
      std::vector<uint32_t>& rows = grams_[gram];
      if (rows.empty() || rows.back() != number) rows.push_back(number);
    }
  }

  const ExampleKind kind_;
  const bool compares_;
  DataCard card_;
  NearDuplicates near_;
  std::vector<uint32_t> compared_;  // the rows that near_ has, in its order
  std::vector<std::string> places_;
  std::unordered_map<std::string, uint32_t> exact_;  // the first row by its hash
  std::map<std::string, AnswersOf> answers_;         // by the hash of the prompt
  std::unordered_map<uint64_t, std::vector<uint32_t>> grams_;
};

DataCardMaker::DataCardMaker(const DataCardOptions& options)
    : rows_(std::make_unique<Rows>(options)) {}
DataCardMaker::~DataCardMaker() = default;

void DataCardMaker::add(const Json& row, const std::string& place) { rows_->add(row, place); }
void DataCardMaker::compare_with(const std::string& file,
                                 const std::function<void()>& on_document) {
  rows_->compare_with(file, on_document);
}
DataCard DataCardMaker::finish() { return rows_->finish(); }

double Lengths::mean() const {
  if (all_.empty()) return 0;
  return static_cast<double>(std::accumulate(all_.begin(), all_.end(), int64_t{0})) /
         static_cast<double>(all_.size());
}

int64_t Lengths::quantile(double share) const {
  if (all_.empty()) return 0;
  std::vector<int64_t> sorted = all_;
  const auto rank =
      static_cast<ptrdiff_t>(std::ceil(share * static_cast<double>(sorted.size()))) - 1;
  const auto at = sorted.begin() + std::max<ptrdiff_t>(0, rank);
  std::ranges::nth_element(sorted, at);
  return *at;
}

std::vector<Lengths::Bucket> Lengths::histogram() const {
  std::map<int, int64_t> counts;
  for (const int64_t length : all_) ++counts[std::bit_width(static_cast<uint64_t>(length))];
  std::vector<Bucket> buckets;
  if (counts.empty()) return buckets;
  for (int width = counts.begin()->first; width <= counts.rbegin()->first; ++width) {
    const int64_t first = width == 0 ? 0 : int64_t{1} << (width - 1);
    buckets.push_back({first, width == 0 ? 0 : 2 * first - 1, counts[width]});
  }
  return buckets;
}

Json DataCard::to_json() const {
  Json json = {{"rows", rows},
               {"forms", forms},
               {"roles", roles},
               {"languages", languages},
               {"words_of_prompts", facts(words_of_prompts)},
               {"words_of_answers", facts(words_of_answers)},
               {"exact_duplicates", exact_duplicates},
               {"near_duplicates", near_duplicates},
               {"conflicting_prompts", conflicting_prompts},
               {"conflicting_rows", conflicting_rows}};
  if (has_tokens) {
    json["tokens_of_prompts"] = facts(tokens_of_prompts);
    json["tokens_of_answers"] = facts(tokens_of_answers);
    json["trained_tokens"] = trained_tokens;
    json["skipped"] = skipped;
    json["changed"] = changed;
  }
  if (!overlaps.empty()) {
    json["ngram"] = ngram;
    json["too_short"] = too_short;
    json["overlaps"] = Json::array();
    for (const Overlap& each : overlaps)
      json["overlaps"].push_back({{"file", each.file}, {"rows", each.rows}});
  }
  json["examples"] = examples;
  return json;
}

void add_tokens(const ExampleSet& set, DataCard& card) {
  card.has_tokens = true;
  card.skipped = set.skipped;
  card.changed = set.changed;
  for (const Example& example : set.examples) {
    card.tokens_of_prompts.add(std::ssize(example.prompt));
    for (const Answer& answer : example.answers) {
      card.tokens_of_answers.add(std::ssize(answer.ids));
      card.trained_tokens += answer.trained_count();
    }
  }
}

namespace {

// The rows of files that nothing is made of but a card.
void for_each_row(const std::string& file, const OnRow& receive) {
  JsonValues values(PackedFile(file), kMaxRowBytes);
  std::string_view value;
  while (values.next(value)) {
    const std::string place = fmt::format("{}:{}", file, values.line_number());
    const Json row = parse_json(
        std::string(value), file,
        {.first_line = static_cast<size_t>(values.line_number()), .error_kind = ErrorKind::kData});
    require(row.is_object(), ErrorKind::kData, place, "the row is {}, expected an object",
            row.type_name());
    receive(row, place);
  }
}

}  // namespace

DataCard make_data_card(const std::vector<std::string>& files, const DataCardOptions& options,
                        const Log& log, const std::function<void(int64_t)>& on_progress) {
  DataCardMaker maker(options);
  int64_t rows = 0;
  const auto step = [&] {
    if (on_progress) on_progress(rows);
  };
  const OnRow add = [&](const Json& row, const std::string& place) {
    maker.add(row, place);
    ++rows;
    step();
  };
  std::optional<ExampleSet> set;
  if (options.examples.tokenizer) {
    set = read_examples(files, options.examples, log, {}, add);
  } else {
    for (const std::string& file : files) for_each_row(file, add);
  }
  for (const std::string& file : options.against) maker.compare_with(file, step);
  DataCard card = maker.finish();
  if (set) add_tokens(*set, card);
  return card;
}

ExampleKind kind_of_rows(const std::string& file) {
  JsonValues values(PackedFile(file), kMaxRowBytes);
  std::string_view value;
  if (!values.next(value)) return ExampleKind::kSingle;
  const Json row = parse_json(std::string(value), file, {.error_kind = ErrorKind::kData});
  const auto any = [&](std::initializer_list<const char*> keys) {
    return row.is_object() &&
           std::ranges::any_of(keys, [&](const char* key) { return row.contains(key); });
  };
  if (any({"chosen", "answers", "chosen_ids", "answers_ids", "response_chosen"}))
    return ExampleKind::kRanking;
  if (any({"completions", "steps_ids"})) return ExampleKind::kSteps;
  if (any({"completion", "completion_ids", "messages", "conversations", "output"}))
    return ExampleKind::kSingle;
  return ExampleKind::kPrompt;
}

}  // namespace lathe
