// The functions that every template has: range, dict, namespace, raise_exception, strftime_now,
// cycler, joiner.
#pragma once

#include <string_view>

#include "lathe/text/jinja/value.h"

namespace lathe::jinja {

const Builtin* find_global(std::string_view name);  // nullptr for none
// Faults for a name that a namespace may not have.
void require_namespace_name(std::string_view name);
// An attribute of what cycler() gives; false if there is none of that name.
bool cycler_attribute(Heap& heap, const Value& cycler, std::string_view name, Value& out);

}  // namespace lathe::jinja
