// One of a list of texts.
#pragma once

#include <span>
#include <string>

#include "lathe/constraint/grammar.h"

namespace lathe::constraint {

// Throws kConfig for an empty list.
Grammar choice_grammar(std::span<const std::string> choices);

}  // namespace lathe::constraint
