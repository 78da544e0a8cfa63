#include "lathe/text/jinja/loop.h"

#include <array>

#include "lathe/text/jinja/runtime.h"

namespace lathe::jinja {
namespace {

Value cycle(Invocation& call) {
  const std::vector<Value>& values = call.arguments.positional;
  if (values.empty()) fault("loop.cycle() needs values to cycle through");
  return values[call.self.get_if<Loop>()->index0 % values.size()];
}

Value changed(Invocation& call) {
  Loop& loop = *call.self.object<Loop>();
  const std::vector<Value>& values = call.arguments.positional;
  bool same = loop.last_seen.has_value() && loop.last_seen->size() == values.size();
  for (size_t i = 0; same && i < values.size(); ++i)
    same = equal(call.heap, (*loop.last_seen)[i], values[i]);
  loop.last_seen = values;
  return !same;
}

constexpr std::array kMethods = {Builtin{"cycle", "*", cycle}, Builtin{"changed", "*", changed}};

Value neighbour(Heap& heap, const Loop& loop, bool next) {
  if (next ? loop.index0 + 1 >= loop.items.size() : loop.index0 == 0)
    return heap.undefined(next ? "there is no next item" : "there is no previous item");
  return loop.items[next ? loop.index0 + 1 : loop.index0 - 1];
}

}  // namespace

bool Loop::attribute(Heap& heap, std::string_view name, Value& out) {
  const size_t count = items.size();
  if (name == "index")
    out = index0 + 1;
  else if (name == "index0")
    out = index0;
  else if (name == "revindex")
    out = count - index0;
  else if (name == "revindex0")
    out = count - index0 - 1;
  else if (name == "first")
    out = index0 == 0;
  else if (name == "last")
    out = index0 + 1 == count;
  else if (name == "length")
    out = count;
  else if (name == "depth")
    out = depth0 + 1;
  else if (name == "depth0")
    out = depth0;
  else if (name == "previtem" || name == "nextitem")
    out = neighbour(heap, *this, name == "nextitem");
  else {
    for (const Builtin& method : kMethods) {
      if (method.name != name) continue;
      out = heap.make<Function>(method, this);
      return true;
    }
    return false;
  }
  return true;
}

}  // namespace lathe::jinja
