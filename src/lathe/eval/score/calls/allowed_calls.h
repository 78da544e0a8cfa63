// Which calls of functions a row allows, as the Berkeley Function Calling Leaderboard (Patil et al. 2025) says it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lathe/eval/score/calls/written_calls.h"

namespace lathe {

// {NAME: {ARGUMENT: [values…]}}: a call of NAME with one of the values for each argument and with no other argument; one
// that "" is among the values of may be absent. A text is compared without case, blanks and , . / - _ * ^; an object's
// values are lists of values again; numbers are equal by value. Where the row describes functions (JSON schemas in
// `function`), the required arguments must be there, and an argument has the type that its schema says, or that of its
// first value: an integer will do for a float, but not the other way.
class AllowedCall {
 public:
  // Errors: kData at `place` for what is none of these, and for a function or a type that is not known.
  AllowedCall(const nlohmann::ordered_json& call, const nlohmann::ordered_json& row,
              const std::string& place);

  // Why `call` is another one; empty if it is this.
  std::string difference(const WrittenCall& call) const;

 private:
  struct Argument {
    std::string name;
    nlohmann::ordered_json values;  // a list
    std::string type, item_type;    // of JSON; empty: any
  };
  void describe(const nlohmann::ordered_json& function, const std::string& place);
  const Argument* find(const std::string& name) const;

  std::string name_;
  std::vector<Argument> arguments_;
  std::vector<std::string> required_;
};

// Whether the calls are those, each once, in any order: why not, or an empty text. As the leaderboard does it, each
// expected call in turn takes the first of the written ones that is allowed.
std::string difference_of(const std::vector<AllowedCall>& expected,
                          const std::vector<WrittenCall>& written);

}  // namespace lathe
