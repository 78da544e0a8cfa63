// What checks of instructions share: parts of texts, and how often an expression of Python's `re` matches. All
// functions are pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/eval/score/ifeval/instruction.h"
#include "lathe/text/jinja/characters.h"
#include "lathe/text/split/regex.h"

namespace lathe {

// Shared by the copies of a check.
using SharedRegex = std::shared_ptr<const Regex>;

inline SharedRegex expression(const std::string& source) {
  return std::make_shared<const Regex>(source, "IFEval", Regex::Dialect::kPython);
}

// The same with the argument `key` in it, which the authors' program takes for an expression, too.
inline SharedRegex expression_of(const std::string& source, const InstructionArguments& a,
                                 const char* key) {
  try {
    return expression(source);
  } catch (const Error& error) {
    a.refuse(key, std::string("a regular expression: ") + error.what());
  }
}

inline int64_t count_matches(const Regex& regex, std::string_view text) {
  int64_t count = 0;
  regex.for_each_match(text, [&](size_t, size_t) { ++count; });
  return count;
}

inline std::vector<std::string_view> parts_between(const Regex& regex, std::string_view text) {
  std::vector<std::string_view> parts;
  size_t at = 0;
  regex.for_each_match(text, [&](size_t begin, size_t end) {
    parts.push_back(text.substr(at, begin - at));
    at = end;
  });
  parts.push_back(text.substr(at));
  return parts;
}

inline std::string_view without_blanks(std::string_view text) {
  return jinja::strip_left(jinja::strip_right(text));
}
inline bool is_blank(std::string_view text) { return without_blanks(text).empty(); }

}  // namespace lathe
