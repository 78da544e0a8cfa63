// What is in files of rows of prompts and answers: a card of numbers about them, before anything is trained.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lathe/train/example/example_file.h"

namespace lathe {

// In the folder of a run over answers: the card of its rows as JSON.
inline constexpr const char* kDataCardFile = "data_card.json";

// How long things are: counts by powers of two, and the middle.
class Lengths {
 public:
  void add(int64_t length) { all_.push_back(length); }
  int64_t count() const { return static_cast<int64_t>(all_.size()); }
  double mean() const;
  // The smallest length that is not below this share of all; 0 of none.
  int64_t quantile(double share) const;
  struct Bucket {
    int64_t first, last, count;  // lengths from first to last
  };
  // 0, 1, 2–3, 4–7 …, from the first that has any to the last.
  std::vector<Bucket> histogram() const;

 private:
  std::vector<int64_t> all_;
};

struct DataCard {
  int64_t rows = 0;
  std::map<std::string, int64_t>
      forms;  // rows by what they look like: "messages", "prompt, completion" …
  std::map<std::string, int64_t> roles;      // messages by role; texts as "prompt" and "answer"
  std::map<std::string, int64_t> languages;  // rows by language_of()
  Lengths words_of_prompts, words_of_answers;
  int64_t exact_duplicates = 0;  // rows that an earlier one equals
  int64_t near_duplicates = 0;   // others whose word 5-grams resemble an earlier row's by 0.8
  int64_t conflicting_prompts = 0, conflicting_rows = 0;  // prompts that have different answers
  std::vector<std::string> examples;  // some of these in words: "rows.jsonl:7 equals rows.jsonl:2"
  // Rows of which a run of `ngram` words stands in a file of other text.
  struct Overlap {
    std::string file;
    int64_t rows = 0;
  };
  int64_t ngram = 0, too_short = 0;  // rows with fewer words, which cannot be compared
  std::vector<Overlap> overlaps;
  // With a tokenizer, what training makes of the rows.
  bool has_tokens = false;
  Lengths tokens_of_prompts, tokens_of_answers;
  std::map<std::string, int64_t> skipped, changed;  // as in ExampleSet
  int64_t trained_tokens = 0;

  nlohmann::ordered_json to_json() const;
};

struct DataCardOptions {
  // What the rows are read as; its tokenizer may be absent, and its vocab_size then counts for nothing.
  ExampleOptions examples;
  std::vector<std::string>
      against;  // files of other text, to find rows in: JSON, of which every text counts, or plain
  int64_t ngram = 13;  // words (Brown et al. 2020, arXiv:2005.14165, appendix C)
};

// A card of rows that come one after the other. Not thread-safe.
class DataCardMaker {
 public:
  explicit DataCardMaker(const DataCardOptions& options);
  ~DataCardMaker();
  DataCardMaker(const DataCardMaker&) = delete;
  DataCardMaker& operator=(const DataCardMaker&) = delete;

  // `place` is "FILE:LINE". Error kData for a row that is not of the kind of the options.
  void add(const nlohmann::ordered_json& row, const std::string& place);
  // Behind all rows; of a maker whose options name files to compare with. `on_document` may throw.
  void compare_with(const std::string& file, const std::function<void()>& on_document);
  // Without tokens. Once.
  DataCard finish();

 private:
  class Rows;
  std::unique_ptr<Rows> rows_;
};

// `on_progress` gets the number of rows; may throw, which ends the reading. Errors: those of read_examples() and of
// reading the other files.
DataCard make_data_card(const std::vector<std::string>& files, const DataCardOptions& options,
                        const Log& log = {}, const std::function<void(int64_t)>& on_progress = {});

// What training makes of the rows, as they were read: lengths in tokens, and what was left out.
void add_tokens(const ExampleSet& set, DataCard& card);

// The kind of a file's rows by the fields of the first one: rankings, steps, single answers, or prompts.
ExampleKind kind_of_rows(const std::string& file);

}  // namespace lathe
