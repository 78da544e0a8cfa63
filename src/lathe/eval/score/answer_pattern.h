// Where an expression finds something in an answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lathe/text/split/regex.h"

namespace lathe {

// Expressions are those of Python's `re`, and what they find is as lm-evaluation-harness has it: of the first or last place
// the first group that matched, or all of the match where there are no groups, without outer blanks. const functions are
// thread-safe.
class AnswerPattern {
 public:
  // `which` is "first" or "last". Errors: kConfig, naming the task's file and key, for a source that is no expression.
  AnswerPattern(const std::string& source, std::string_view which, const std::string& file,
                const std::string& key);

  struct Found {
    size_t begin = 0;  // of the match, in bytes
    std::string text;
  };
  // In valid UTF-8. None, too, where of several groups none took part. Errors: kData, as Regex.
  std::optional<Found> in(std::string_view text) const;

 private:
  Regex regex_;
  bool last_;
};

// An expression of a task's key. Errors: kConfig, naming file and key.
Regex task_expression(const std::string& source, const std::string& file, const std::string& key);

}  // namespace lathe
