// The catalogue of instructions that a program can check: those of IFEval (Zhou et al. 2023, arXiv:2311.07911), as its
// authors' program checks them.
//
//   // formats.cc: a function that makes the check; its declaration in checks.h; its line in instruction.cc
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// How often something should be there: "at least" or "less than" n times.
struct WantedCount {
  int64_t n = 0;
  bool less_than = false;
  bool holds(int64_t count) const { return less_than ? count < n : count >= n; }
};

// What a row says about one of its instructions: an entry of its `kwargs`, where null, "" and an empty list are as good
// as absent. The functions throw kData, naming the row, the instruction and the argument, for one that is absent or of
// another type; the authors' program draws it then, so that nothing could be measured.
class InstructionArguments {
 public:
  // `kwargs` must outlive it.
  InstructionArguments(const nlohmann::ordered_json& kwargs, std::string place,
                       std::string instruction);

  bool has(const char* key) const;
  std::string text(const char* key) const;  // without outer blanks
  std::vector<std::string> texts(const char* key) const;
  int64_t number(const char* key) const;  // not negative
  WantedCount count(const char* number, const char* relation) const;
  std::vector<std::string> given() const;  // the keys that are not absent
  [[noreturn]] void refuse(const char* key, std::string_view expected) const;

 private:
  const nlohmann::ordered_json& kwargs_;
  std::string place_, instruction_;
};

// Whether a response, which is valid UTF-8 and not blank, follows it. Thread-safe.
using InstructionCheck = std::function<bool(const std::string& response)>;

struct InstructionRule {
  std::string_view name, summary;
  std::vector<std::string> arguments;
  InstructionCheck (*check_of)(const InstructionArguments&);
};
const std::vector<InstructionRule>& instructions();

// That of the instruction `name`. Errors: kData at `place` for an unknown one, with the nearest, and for arguments as
// above or that it does not have.
InstructionCheck instruction_check(const std::string& name, const nlohmann::ordered_json& kwargs,
                                   const std::string& place);

}  // namespace lathe
