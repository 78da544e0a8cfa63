// The values of `format` that are checked, each as a regular expression. Internal to constraint/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lathe::constraint {

// nullptr for a format that is not known; an empty expression for one that says nothing of the text.
const std::string* find_string_format(std::string_view name);
std::vector<std::string> string_format_names();

}  // namespace lathe::constraint
