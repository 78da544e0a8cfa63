// A task as its TOML file says it: where its rows are, how a row becomes a question, and how an answer is judged.
// Templates are Jinja (text/jinja/template.h), without any code of their own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/config/visit.h"
#include "lathe/eval/task/judge_config.h"

namespace lathe {

enum class TaskKind : uint8_t {
  kChoices,        // the likelier of some continuations
  kLoglikelihood,  // of one continuation
  kPerplexity,     // of a whole text
  kGenerate,       // what the model writes
};

struct TaskKindRule {
  std::string_view name, summary;
  TaskKind kind;
  std::vector<std::string> needs, useless;  // keys
  std::vector<std::string> metrics;         // of a task without a scorer (score/scorer.h)
};
const std::vector<TaskKindRule>& task_kinds();

// The part of an answer that is compared: the first group that matched.
struct AnswerFilter {
  std::string name, regex, which = "first";
  void visit(Visitor& v);
};

struct CodeLimits {
  double seconds = 10;
  std::string memory = "512M";
  void visit(Visitor& v);
  // The memory; nullopt for a text that is none.
  std::optional<int64_t> mebibytes() const;
};

// Fields that rows get from elsewhere.
struct RowJoin {
  std::string file;
  std::optional<std::string> on, as;
  void visit(Visitor& v);
};

struct NumberTemplate {
  std::string name, source;
};

struct TaskConfig {
  std::filesystem::path file;    // or what errors call it
  std::filesystem::path folder;  // where its data lies
  std::string text;              // the TOML
  bool is_builtin = false;       // builtin/builtin_tasks.h

  std::string name, kind;
  std::string data;
  std::optional<std::string> shots_from;
  std::string shots_order = "first";
  std::vector<std::string> prompt, choices;
  std::string macros;
  std::optional<std::string> gold, target, shot_prompt, shot_target, uncond_prompt, group;
  std::optional<std::string> shots_group, questions, chance, difficulty, records, permute,
      think_end;
  std::vector<NumberTemplate> difficulties;  // `difficulty`, or each of the table of that name
  std::optional<std::string> source, license, get;
  std::optional<int64_t> rows;
  std::string delimiter = " ", separator = "\n\n", description;
  std::vector<std::string> metrics, normalize, stop;
  std::vector<AnswerFilter> filters;
  std::vector<RowJoin> join;
  int64_t max_tokens = 256, samples = 1;
  double temperature = 0;
  std::optional<std::string> scorer, program;
  CodeLimits limits;
  std::optional<JudgeConfig> judge;

  void visit(
      Visitor& v);  // all but filters, join, limits, judge and difficulties, which are tables
  TaskKind task_kind() const;
  std::filesystem::path data_path() const;
  std::filesystem::path shots_path() const;  // data_path() without shots_from
};

// Errors: kIo; kConfig naming file and key, for a key that is unknown, missing for the kind or of no use to it.
TaskConfig read_task_config(const std::filesystem::path& file);
// The same from a text, which errors call `name`, with its data below `folder`.
TaskConfig parse_task_config(std::string text, const std::string& name,
                             const std::filesystem::path& folder);

}  // namespace lathe
