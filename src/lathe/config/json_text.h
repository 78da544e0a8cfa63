// A strict reader of JSON text.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "lathe/base/error.h"

namespace lathe {

struct JsonLimits {
  size_t depth = 64;                          // nested arrays and objects
  size_t values = 10'000'000;                 // values in the whole text
  size_t first_line = 1;                      // of the text in its file, for errors
  ErrorKind error_kind = ErrorKind::kConfig;  // what an invalid text throws
};

// Strict JSON: errors name `name:line:column`; duplicate keys, invalid UTF-8, too deep nesting and
// trailing text are refused. Linear in the length of the text.
nlohmann::ordered_json parse_json(std::string_view text, std::string_view name,
                                  const JsonLimits& limits = {});

}  // namespace lathe
