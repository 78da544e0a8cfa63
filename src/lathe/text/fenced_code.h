// What a model put between fences, as Markdown has them.
#pragma once

#include <string_view>

namespace lathe {

// The code of an answer: its last block between fences (``` or ~~~, as in Markdown; the last one may lack its end),
// or, without one, all of it.
std::string_view code_of(std::string_view answer);

}  // namespace lathe
