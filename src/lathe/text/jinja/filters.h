// The catalogue of filters: one table for each kind, in the file of that name.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/jinja/value.h"

namespace lathe::jinja {

std::span<const Builtin> text_filters();
std::span<const Builtin> number_filters();
std::span<const Builtin> list_filters();       // of one value: first, length, sort …
std::span<const Builtin> selection_filters();  // with an attribute, a test or another filter

const Builtin* find_filter(std::string_view name);  // nullptr for none
std::vector<std::string> filter_names();

// value as JSON, as Python's json.dumps writes it. Null for what is left out.
struct JsonStyle {
  bool ascii_only = false, sorted = false;
  bool indented = false;
  std::string indent, item_separator = ", ", key_separator = ": ";
};
std::string json_text(Heap& heap, const Value& value, const JsonStyle& style);

// "a.0.b" of an item, step by step; `fallback`, if not null, for what is undefined.
Value attribute_path(Heap& heap, const Value& item, const Value& path, const Value* fallback);
// A text in lower case, anything else as it is: what sorting goes by.
Value without_case(Heap& heap, const Value& value);

}  // namespace lathe::jinja
