// The methods of values: those of Python's str, list, tuple and dict that change nothing.
#pragma once

#include <string_view>

#include "lathe/text/jinja/value.h"

namespace lathe::jinja {

// nullptr if a value of this kind has no such method.
const Builtin* find_method(const Value& object, std::string_view name);

// Whether this is a method of Python's that would change the value: list.append, dict.update.
bool changes_values(const Value& object, std::string_view name);

const Builtin* find_text_method(std::string_view name);

}  // namespace lathe::jinja
