// A task with its rows: what is asked of a model, item by item.
//
//   request      = description + shots + prompt
//   shot         = prompt + delimiter + answer + separator
//   continuation = delimiter + choice or target
//
// or a conversation of these parts (ChatForm).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/eval/task/rows.h"
#include "lathe/eval/task/task_config.h"

namespace lathe {

// One or two numbers with their names; empty for a task that says none. The name of one may be empty.
using Difficulty = std::vector<std::pair<std::string, double>>;

struct EvalItem {
  int64_t id = 0;     // the row, from 0
  std::string place;  // of the row: "FILE:LINE", for errors
  // One, or one for each continuation; what follows them, none where the model writes.
  std::vector<std::string> prompts, continuations;
  std::vector<std::string> choices;   // without delimiter
  std::optional<int64_t> gold;        // which of them is right
  std::optional<std::string> system;  // a message before the prompt (ask/chat_source.h)
  std::optional<std::string> target;
  std::optional<std::string> group;
  std::optional<std::string> uncond;  // what choices follow for acc_uncond
  std::optional<double> chance;       // how often a guess is right
  Difficulty difficulty;              // a size, a depth: scores are shown by it, too
};

// Items as conversations: what a chat template makes of them, up to where the answer begins.
//   system      `system`, and the task's description behind it
//   user        shots and prompt in one turn; with `shots_as_turns` each shot's prompt is a turn of the user, and its answer
//               one of the assistant
// Choices and targets follow without a delimiter.
struct ChatForm {
  std::function<std::string(const nlohmann::ordered_json& messages)> text;
  std::string system;
  bool shots_as_turns = false;
};

class EvalTask {
 public:
  // Reads the rows. Errors: those of read_task_rows() and join_rows(), of which one for a missing file says how to get
  // it, if the task does; kConfig for a template that is none, and for more shots than there are rows, or rows of the
  // item's shots_group.
  EvalTask(TaskConfig config, int64_t shots, const Rng& rng, std::optional<ChatForm> chat = {});
  ~EvalTask();
  EvalTask(EvalTask&&) noexcept;

  const TaskConfig& config() const { return config_; }
  const TaskRows& rows() const { return rows_; }
  // Those of shots where they are others; null where shots come from rows().
  const TaskRows* shots_rows() const { return other_rows_ ? &*other_rows_ : nullptr; }
  int64_t size() const { return std::ssize(rows_.rows); }
  // Thread-safe. Errors: kData, naming file, line and key.
  EvalItem item(int64_t id) const;

 private:
  struct Templates;
  class Renderer;

  std::vector<size_t> shots_of(int64_t id) const;
  std::vector<size_t> shots_of_group(int64_t id) const;
  struct Shot {
    std::string prompt, answer;
  };
  Shot shot(size_t row) const;
  std::vector<int64_t> order_of_choices(int64_t id) const;
  std::string prompt_text(const std::string& description, const std::vector<Shot>& shots,
                          const std::string& prompt) const;
  nlohmann::ordered_json messages(const std::string& description, const std::vector<Shot>& shots,
                                  const std::string& prompt) const;

  TaskConfig config_;
  TaskRows rows_;
  std::optional<TaskRows> other_rows_;  // of shots
  int64_t shots_;
  Rng rng_;
  std::optional<ChatForm> chat_;
  std::unique_ptr<const Templates> templates_;
  std::map<std::string, std::vector<size_t>> groups_of_shots_;  // by shots_group
};

}  // namespace lathe
