// Runs commands in the process and writes a text that a model can learn in seconds.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "lathe/cli/commands/commands.h"
#include "lathe/cli/frame/program.h"

namespace lathe {

struct CommandResult {
  int code;
  std::string out, err;
};

inline CommandResult run_lathe(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  const int code = run_program(lathe_program(), arguments, {out, err, {}});
  return {code, out.str(), err.str()};
}

// `count` short paragraphs of a few words in varying order.
inline std::string simple_text(int count) {
  const char* const nouns[] = {"river", "mountain", "teacher", "garden", "letter"};
  const char* const verbs[] = {"follows", "remembers", "answers", "finds"};
  std::string text;
  for (int i = 0; i < count; ++i)
    text += std::string("The ") + nouns[i % 5] + " " + verbs[i / 5 % 4] + " the " +
            nouns[(i / 20 + i) % 5] + " number " + std::to_string(i % 37) + ".\n" +
            (i % 9 == 8 ? "\n" : "");
  return text;
}

}  // namespace lathe
