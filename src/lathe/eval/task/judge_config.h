// The table [judge] of a task: what another model is asked about an answer, and how its verdict is read (score/judge.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lathe/config/visit.h"

namespace lathe {

struct JudgeConfig {
  std::string prompt;
  std::optional<std::string> system;
  std::optional<std::string> rating;  // of one answer
  std::optional<double> lowest, highest;
  std::optional<std::string> baseline, first, second, tie;  // of two answers
  std::string which = "first";
  int64_t max_tokens = 1024;

  void visit(Visitor& v);
  // Errors: kConfig at `where`, naming the key, for keys of both forms or of none, or of the other one, and for a prompt
  // without the answer.
  void check(const std::string& where) const;
};

}  // namespace lathe
