// Filters of lists and objects as a whole.
#include <algorithm>
#include <array>

#include "lathe/text/jinja/access.h"
#include "lathe/text/jinja/characters.h"
#include "lathe/text/jinja/filters.h"
#include "lathe/text/jinja/operators.h"
#include "lathe/text/jinja/runtime.h"

namespace lathe::jinja {
namespace {

Value fallback(Invocation& call) {
  const bool missing = call.self.is_undefined() || (call.truth(1, false) && !is_true(call.self));
  if (!missing) return call.self;
  return call.has(0) ? call.at(0) : call.heap.text("");
}

Value first(Invocation& call) {
  if (Sequence* s = call.self.object<Sequence>();
      s != nullptr && s->is_generator() && s->taken < s->items.size())
    return s->items[s->taken++];
  const std::vector<Value> all = elements(call.heap, call.self);
  return all.empty() ? call.heap.undefined("an empty list has no first element") : all.front();
}

Value last(Invocation& call) {
  const Sequence* s = call.self.get_if<Sequence>();
  if (s != nullptr && s->is_generator())
    fault(
        "what a filter gives element by element has no end to begin from; make it a list with "
        "`list` first");
  const std::vector<Value> all = elements(call.heap, call.self);
  return all.empty() ? call.heap.undefined("an empty list has no last element") : all.back();
}

Value count(Invocation& call) { return length(call.self); }

Value list(Invocation& call) { return call.heap.list(elements(call.heap, call.self)); }

Value reverse(Invocation& call) {
  std::vector<Value> all = elements(call.heap, call.self);
  std::ranges::reverse(all);
  if (!call.self.is_text()) {
    const Sequence* s = call.self.get_if<Sequence>();
    const bool once = s == nullptr || !s->is_generator();
    return once ? call.heap.generator(std::move(all)) : call.heap.list(std::move(all));
  }
  std::string out;
  for (const Value& c : all) out += c.text();
  return call.heap.text(std::move(out), call.self.is_safe_text());
}

Value items(Invocation& call) {
  if (call.self.is_undefined()) return call.heap.generator({});
  const Dict* dict = call.self.get_if<Dict>();
  if (dict == nullptr) fault("items takes an object, got a value of type {}", type_name(call.self));
  std::vector<Value> out;
  for (const auto& [key, value] : dict->entries) out.push_back(call.heap.tuple({key, value}));
  return call.heap.generator(std::move(out));
}

Value dictsort(Invocation& call) {
  const Dict* dict = call.self.get_if<Dict>();
  if (dict == nullptr)
    fault("dictsort takes an object, got a value of type {}", type_name(call.self));
  const std::string_view by = call.has(1) ? call.text(1, "what to sort by") : "key";
  if (by != "key" && by != "value") fault("dictsort sorts by 'key' or 'value', not '{}'", by);
  const bool cased = call.truth(0, false);
  std::vector<std::pair<Value, Value>> order;  // what to sort by, the pair
  for (const auto& [key, value] : dict->entries) {
    const Value& which = by == "key" ? key : value;
    order.emplace_back(cased ? which : without_case(call.heap, which),
                       call.heap.tuple({key, value}));
  }
  const bool reverse = call.truth(2, false);
  std::ranges::stable_sort(order, [&](const auto& a, const auto& b) {
    return reverse ? compare(call.heap, b.first, a.first) < 0
                   : compare(call.heap, a.first, b.first) < 0;
  });
  std::vector<Value> out;
  for (const auto& entry : order) out.push_back(entry.second);
  return call.heap.list(std::move(out));
}

Value batch(Invocation& call) {
  const int64_t size = need_int(call.at(0), "the size of a batch");
  if (size < 1) fault("the size of a batch is {}, expected at least 1", size);
  std::vector<Value> out, row;
  const auto flush = [&] { out.push_back(call.heap.list(std::exchange(row, {}))); };
  for (Value& item : elements(call.heap, call.self)) {
    if (static_cast<int64_t>(row.size()) == size) flush();
    row.push_back(std::move(item));
  }
  if (!row.empty()) {
    if (call.has(1) && !call.at(1).is_none()) {
      call.heap.step(size);
      row.resize(static_cast<size_t>(size), call.at(1));
    }
    flush();
  }
  return call.heap.generator(std::move(out));
}

Value slice(Invocation& call) {
  const std::vector<Value> all = elements(call.heap, call.self);
  const int64_t slices = need_int(call.at(0), "the number of slices");
  if (slices < 1) fault("the number of slices is {}, expected at least 1", slices);
  call.heap.step(slices);
  const auto count = static_cast<size_t>(slices);
  const size_t each = all.size() / count, longer = all.size() % count;
  std::vector<Value> out;
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t size = each + (i < longer ? 1 : 0);
    std::vector<Value> part(all.begin() + static_cast<std::ptrdiff_t>(at),
                            all.begin() + static_cast<std::ptrdiff_t>(at + size));
    at += size;
    if (call.has(1) && !call.at(1).is_none() && i >= longer) part.push_back(call.at(1));
    out.push_back(call.heap.list(std::move(part)));
  }
  return call.heap.generator(std::move(out));
}

Value attr(Invocation& call) {
  const std::string_view name = call.text(0, "the name of an attribute");
  if (call.self.get_if<Dict>() == nullptr) return attribute_of(call.heap, call.self, name);
  Dict empty;  // an object's entries are not its attributes
  return attribute_of(call.heap, Value(static_cast<Object*>(&empty)), name);
}

constexpr std::array kFilters = {
    Builtin{"attr", "name", attr},
    Builtin{"batch", "linecount fill_with?", batch},
    Builtin{"count", "", count},
    Builtin{"d", "default_value? boolean?", fallback},
    Builtin{"default", "default_value? boolean?", fallback},
    Builtin{"dictsort", "case_sensitive? by? reverse?", dictsort},
    Builtin{"first", "", first},
    Builtin{"items", "", items},
    Builtin{"last", "", last},
    Builtin{"length", "", count},
    Builtin{"list", "", list},
    Builtin{"reverse", "", reverse},
    Builtin{"slice", "slices fill_with?", slice},
};

}  // namespace

std::span<const Builtin> list_filters() { return kFilters; }

}  // namespace lathe::jinja
