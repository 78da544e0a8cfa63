// Calls of functions as models write them into a text.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct WrittenCall {
  std::string name;
  nlohmann::ordered_json arguments;  // an object
};

// The calls that make up a text, or its last block between fences (text/fenced_code.h), in one of these forms; nullopt
// for any other text, which calls nothing:
//   <tool_call>{"name": …, "arguments": {…}}</tool_call>   once or more, with any text around
//   [{"name": …, "arguments": {…}}, …] or one such object   also with "parameters", with arguments as a text of JSON, and
//                                                           below "function"
//   [f(a=1, b="x"), m.g(c=[True, None])] or one such call   Python: named arguments that are literals; a name that is
//                                                           none is a text, a tuple a list
// Pure.
std::optional<std::vector<WrittenCall>> calls_in(std::string_view text);

}  // namespace lathe
