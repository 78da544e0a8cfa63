// Files of examples: JSON lines or arrays of rows, compressed or not, of ids (id_row.h) or of words
// (word_row.h).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/train/example/example.h"

namespace lathe {

struct DataCard;

struct ExampleOptions {
  ExampleKind kind = ExampleKind::kSingle;
  std::optional<std::string> tokenizer;  // folder; for rows of words
  int64_t vocab_size = 0;
  std::optional<int64_t> eos_token_id;
  bool encoder = false;               // the prompt is an encoder's text
  bool mask_history = false;          // as in EncodingOptions
  std::string step_separator = "\n";  // the same, for answers in steps
  int64_t seq_len = 0;                // the most tokens of an example; 0: any number
  std::string truncation = "drop";    // of longer ones: "drop", "keep_start", "keep_end"
  std::string tools = {};  // JSON: OpenAI's list, for conversations that have none of their own
  std::optional<int64_t> rows;  // of the files, from their beginning; absent: all
  bool card = false;            // whether the set has a card of its rows
};

struct ExampleSet {
  std::vector<Example> examples;
  int64_t rows = 0;                        // that were read
  std::map<std::string, int64_t> skipped;  // why, and how many: "equal_answers", "empty_answer" …
  std::map<std::string, int64_t> changed;  // the same of what was shortened or divided
  std::string hash;                        // of the files
  std::shared_ptr<const DataCard> card;    // with ExampleOptions::card (data_card.h)
};

// A row of the files, and "FILE:LINE".
using OnRow = std::function<void(const nlohmann::ordered_json& row, const std::string& place)>;

// In the order of the files; several threads encode. `on_progress` gets the number of rows read so
// far and may throw, which ends the reading; `on_row` gets each row, in order. What is skipped or changed is counted,
// and said in `log`.
// Errors: kIo, kFormat; kData, naming file and line, for a row that is not what the objective learns
// from or has ids outside the vocabulary, and if no example is left.
ExampleSet read_examples(const std::vector<std::string>& files, const ExampleOptions& options,
                         const Log& log = {},
                         const std::function<void(int64_t rows)>& on_progress = {},
                         const OnRow& on_row = {});

}  // namespace lathe
