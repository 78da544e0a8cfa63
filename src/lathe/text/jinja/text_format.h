// "{} of {name:>8}".format(…), as Python's str.format, for texts and numbers.
#pragma once

#include <string>
#include <string_view>

#include "lathe/text/jinja/runtime.h"

namespace lathe::jinja {

std::string brace_format(Heap& heap, std::string_view format, const CallArguments& arguments);

// What stands behind the colon, or behind a % sign.
struct FormatSpec {
  char32_t fill = ' ';
  char align = 0;  // '<', '>', '^', '='
  char sign = 0;   // '+', ' '
  bool alternate = false, grouped = false;
  int64_t width = 0;
  int64_t precision = -1;
  char type = 0;
};
// A number or a text in that form; faults for a type that the value does not have.
std::string formatted(Heap& heap, const Value& value, const FormatSpec& spec);

}  // namespace lathe::jinja
