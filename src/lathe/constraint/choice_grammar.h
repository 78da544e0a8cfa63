// One of a list of texts.
#pragma once

#include <span>
#include <string>

#include "lathe/constraint/grammar.h"

namespace lathe::constraint {

// Throws kConfig for an empty list, and one of more than 1 MiB.
Grammar choice_grammar(std::span<const std::string> choices);

}  // namespace lathe::constraint
