// The variable `loop` of a loop.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "lathe/text/jinja/syntax.h"
#include "lathe/text/jinja/value.h"

namespace lathe::jinja {

struct Loop : Object {
  static constexpr ObjectKind kKind = ObjectKind::kLoop;
  Loop(const For& n, std::vector<Value> v, int d)
      : Object(kKind), node(n), items(std::move(v)), depth0(d) {}

  // False if there is no attribute of that name.
  bool attribute(Heap& heap, std::string_view name, Value& out);

  const For& node;
  const std::vector<Value> items;
  const int depth0;                             // of a recursive loop
  size_t index0 = 0;                            // of the present element
  std::optional<std::vector<Value>> last_seen;  // by changed()
};

}  // namespace lathe::jinja
