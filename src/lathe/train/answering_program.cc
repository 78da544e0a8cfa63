#include "lathe/train/answering_program.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace lathe {
namespace {

constexpr double kTimeout = 10;

}  // namespace

void visit_program(Visitor& v, const ProgramKeys& keys, std::optional<std::string>& command,
                   std::optional<double>& timeout) {
  v.field(
      keys.command, command,
      fmt::format("program that {}: started once, it gets a JSON line for each {} and prints {}",
                  keys.does, keys.question, keys.answer));
  v.field(keys.timeout, timeout,
          fmt::format("{}: seconds that it may take for an answer; default: {}", keys.command,
                      kTimeout),
          between(0.001, 86400));
}

AnsweringProgram::AnsweringProgram(std::optional<std::string> command,
                                   std::optional<double> timeout)
    : command_(command.value_or("")), timeout_(timeout.value_or(kTimeout)) {}

std::optional<std::string> AnsweringProgram::ask(const nlohmann::ordered_json& question,
                                                 std::string& failure) {
  if (!process_) process_ = std::make_unique<ChildProcess>(command_);
  std::string said;
  const ChildProcess::Answer answer =
      process_->ask(question.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
                    std::chrono::milliseconds(static_cast<int64_t>(timeout_ * 1e3)), said);
  if (answer == ChildProcess::Answer::kLine) return said;
  failure = what_failed(answer, timeout_);
  restart();
  return std::nullopt;
}

}  // namespace lathe
