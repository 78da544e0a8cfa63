#include "lathe/text/jinja/globals.h"

#include <algorithm>
#include <array>

#include "lathe/base/utf8.h"
#include "lathe/text/jinja/runtime.h"

namespace lathe::jinja {
namespace {

Value range(Invocation& call) {
  const bool one = !call.has(1);
  const Int begin = one ? 0 : need_int(call.at(0), "the begin of a range");
  const Int end = need_int(call.at(one ? 0 : 1), "the end of a range");
  const Int step = call.integer(2, 1, "the step of a range");
  if (step == 0) fault("the step of a range cannot be 0");
  Range* made = call.heap.make<Range>(begin, end, step);
  if (made->count() > kMaxRange)
    fault("the range has {} elements; a template may have ranges of at most {}",
          int_text(made->count()), kMaxRange);
  return made;
}

// Entries from an object or a list of pairs, then those with names.
void fill(Invocation& call, Dict& out) {
  const CallArguments& given = call.arguments;
  if (given.positional.size() > 1)
    fault("dict and namespace take one object or list of pairs, got {}", given.positional.size());
  if (!given.positional.empty()) {
    const Value& from = given.positional[0];
    if (const Dict* dict = from.get_if<Dict>()) {
      for (const auto& [key, value] : dict->entries) out.set(key, value);
    } else {
      for (const Value& pair : elements(call.heap, from)) {
        const std::vector<Value> both = elements(call.heap, pair);
        if (both.size() != 2) fault("dict takes pairs, and this has {} elements", both.size());
        out.set(both[0], both[1]);
      }
    }
  }
  for (const auto& [key, value] : given.named) out.set(call.heap.text(key), value);
}

Value dict(Invocation& call) {
  Dict* made = call.heap.dict();
  fill(call, *made);
  return made;
}

Value make_namespace(Invocation& call) {
  auto* made = call.heap.make<Namespace>();
  fill(call, made->attributes);
  for (const auto& entry : made->attributes.entries)
    require_namespace_name(entry.first.is_text() ? entry.first.text() : "");
  return made;
}

Value raise_exception(Invocation& call) {
  fault("the template refuses this: {}", to_text(call.heap, call.at(0)));
}

Value strftime_now(Invocation& call) {
  constexpr size_t kMost = size_t{1} << 12;
  const std::string format = std::string(call.text(0, "the form of a date")) + "|";
  std::string out(kMost, '\0');
  const std::tm now = call.runtime.now();
  const size_t size =
      format.size() < kMost ? std::strftime(out.data(), out.size(), format.c_str(), &now) : 0;
  if (size == 0) fault("the form of a date gives a text of more than {} bytes", kMost);
  out.resize(size - 1);  // without the bar, which tells an empty text from one that is too long
  if (!is_valid_utf8(out)) fault("the form of a date gives a text that is not UTF-8");
  return call.heap.text(std::move(out));
}

Cycler& cycler_of(const Invocation& call) { return *call.self.object<Cycler>(); }

Value next(Invocation& call) {
  Cycler& cycler = cycler_of(call);
  const Value& now = cycler.items[cycler.at];
  cycler.at = (cycler.at + 1) % cycler.items.size();
  return now;
}

Value reset(Invocation& call) {
  cycler_of(call).at = 0;
  return {};
}

// Empty the first time.
Value separate(Invocation& call) {
  Cycler& cycler = cycler_of(call);
  return cycler.items[std::exchange(cycler.at, 1)];
}

constexpr Builtin kNext{"next", "", next}, kReset{"reset", "", reset},
    kSeparate{"joiner", "", separate};

Value make_cycler(Invocation& call) {
  if (call.arguments.positional.empty()) fault("cycler needs values to cycle through");
  return call.heap.make<Cycler>(call.arguments.positional);
}

Value make_joiner(Invocation& call) {
  const Value between = call.has(0) ? call.at(0) : call.heap.text(", ");
  Cycler* state = call.heap.make<Cycler>(std::vector<Value>{call.heap.text(""), between});
  return call.heap.make<Function>(kSeparate, state);
}

Value lipsum(Invocation&) { fault("`lipsum` writes random text and is not supported"); }

constexpr std::array kGlobals = {
    Builtin{"cycler", "*", make_cycler},
    Builtin{"dict", "*", dict},
    Builtin{"joiner", "sep?", make_joiner},
    Builtin{"lipsum", "*", lipsum},
    Builtin{"namespace", "*", make_namespace},
    Builtin{"raise_exception", "message", raise_exception},
    Builtin{"range", "start stop? step?", range},
    Builtin{"strftime_now", "format", strftime_now},
};

}  // namespace

void require_namespace_name(std::string_view name) {
  if (name.starts_with('_'))
    fault("'{}' cannot be an attribute of a namespace, because it begins with '_'; rename it",
          name);
}

const Builtin* find_global(std::string_view name) {
  const auto found = std::ranges::find(kGlobals, name, &Builtin::name);
  return found == kGlobals.end() ? nullptr : &*found;
}

bool cycler_attribute(Heap& heap, const Value& cycler, std::string_view name, Value& out) {
  const Cycler* c = cycler.get_if<Cycler>();
  if (c == nullptr) return false;
  if (name == "current")
    out = c->items[c->at];
  else if (name == "next" || name == "reset")
    out = heap.make<Function>(name == "next" ? kNext : kReset, cycler);
  else
    return false;
  return true;
}

}  // namespace lathe::jinja
