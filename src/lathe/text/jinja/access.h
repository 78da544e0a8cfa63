// value.name, value[key] and value[a:b:c].
#pragma once

#include <string_view>

#include "lathe/text/jinja/value.h"

namespace lathe::jinja {

// A method before an entry of that name; undefined where there is neither. Faults for undefined.
Value attribute_of(Heap& heap, const Value& object, std::string_view name);
// An entry before a method.
Value item_of(Heap& heap, const Value& object, const Value& key);
// Null for what is left out.
Value slice_of(Heap& heap, const Value& object, const Value* begin, const Value* end,
               const Value* step);

}  // namespace lathe::jinja
