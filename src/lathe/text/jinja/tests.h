// The catalogue of tests: what may stand behind `is`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/jinja/value.h"

namespace lathe::jinja {

const Builtin* find_test(std::string_view name);  // nullptr for none
std::vector<std::string> test_names();

}  // namespace lathe::jinja
