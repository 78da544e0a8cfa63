// A program that a recipe names and that answers JSON lines: a verifier, tools of one's own.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "lathe/config/visit.h"
#include "lathe/io/child_process.h"

namespace lathe {

// Its two keys, and what they say of it: "program that DOES: started once, it gets a JSON line for each QUESTION and
// prints ANSWER".
struct ProgramKeys {
  std::string_view command, timeout;
  std::string_view does, question, answer;
};
void visit_program(Visitor& v, const ProgramKeys& keys, std::optional<std::string>& command,
                   std::optional<double>& timeout);

// Starts with the first question, and again after it has failed. Not thread-safe.
class AnsweringProgram {
 public:
  // `timeout` in seconds; default: 10.
  AnsweringProgram(std::optional<std::string> command, std::optional<double> timeout);

  // What it says, or nullopt and in `failure` what it did instead ("gave no answer within 10 s"). Throws kIo if it
  // cannot be started.
  std::optional<std::string> ask(const nlohmann::ordered_json& question, std::string& failure);
  // What it said was no answer: it begins afresh.
  void restart() { process_.reset(); }

 private:
  const std::string command_;
  const double timeout_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace lathe
