// Calls in Python's syntax.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "lathe/eval/score/calls/written_calls.h"

namespace lathe {

// As calls_in() has them; nullopt for any other text. Pure.
std::optional<std::vector<WrittenCall>> python_calls_in(std::string_view text);

}  // namespace lathe
