// Filters that look at each element of a list: at an attribute of it, with a test or a filter.
#include <algorithm>
#include <array>

#include "lathe/base/strings.h"
#include "lathe/text/jinja/access.h"
#include "lathe/text/jinja/characters.h"
#include "lathe/text/jinja/filters.h"
#include "lathe/text/jinja/operators.h"
#include "lathe/text/jinja/runtime.h"
#include "lathe/text/jinja/tests.h"

namespace lathe::jinja {

Value attribute_path(Heap& heap, const Value& item, const Value& path, const Value* fallback) {
  if (!path.is_text()) {
    const Value found = item_of(heap, item, path);
    return found.is_undefined() && fallback != nullptr ? *fallback : found;
  }
  std::string_view rest = path.text();
  Value value = item;
  while (true) {
    const size_t end = std::min(rest.find('.'), rest.size());
    const std::string_view part = rest.substr(0, end);
    const bool index = !part.empty() && part.size() < 10 &&
                       std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
    value = item_of(heap, value,
                    index ? Value(std::stoi(std::string(part))) : heap.text(std::string(part)));
    if (value.is_undefined() && fallback != nullptr) value = *fallback;
    if (end == rest.size()) return value;
    rest.remove_prefix(end + 1);
  }
}

Value without_case(Heap& heap, const Value& value) {
  return value.is_text() ? heap.text(lower_case_of(value.text())) : value;
}

namespace {

const Value* given(const Invocation& call, size_t i) {
  return call.has(i) && !call.at(i).is_none() ? &call.at(i) : nullptr;
}

// What elements are compared by: the element or its attribute, without case unless told otherwise.
Value key_of(Invocation& call, const Value& item, const Value* attribute, bool cased) {
  const Value key =
      attribute == nullptr ? item : attribute_path(call.heap, item, *attribute, nullptr);
  return cased ? key : without_case(call.heap, key);
}

// For `sort`: several attributes with commas between them.
Value sort_key(Invocation& call, const Value& item, const Value* attribute, bool cased) {
  if (attribute == nullptr || !attribute->is_text() ||
      attribute->text().find(',') == std::string_view::npos)
    return key_of(call, item, attribute, cased);
  std::vector<Value> parts;
  std::string_view rest = attribute->text();
  while (true) {
    const size_t end = std::min(rest.find(','), rest.size());
    const Value part = call.heap.text(std::string(rest.substr(0, end)));
    parts.push_back(key_of(call, item, &part, cased));
    if (end == rest.size()) break;
    rest.remove_prefix(end + 1);
  }
  return call.heap.tuple(std::move(parts));
}

std::vector<std::pair<Value, Value>> with_keys(Invocation& call, const Value* attribute,
                                               bool cased) {
  std::vector<std::pair<Value, Value>> out;
  for (Value& item : elements(call.heap, call.self)) {
    Value key = sort_key(call, item, attribute, cased);
    out.emplace_back(std::move(key), std::move(item));
  }
  return out;
}

Value sort(Invocation& call) {
  auto all = with_keys(call, given(call, 2), call.truth(1, false));
  const bool reverse = call.truth(0, false);
  std::ranges::stable_sort(all, [&](const auto& a, const auto& b) {
    return reverse ? compare(call.heap, b.first, a.first) < 0
                   : compare(call.heap, a.first, b.first) < 0;
  });
  std::vector<Value> out;
  for (auto& entry : all) out.push_back(std::move(entry.second));
  return call.heap.list(std::move(out));
}

Value unique(Invocation& call) {
  Dict seen;
  std::vector<Value> out;
  for (const Value& item : elements(call.heap, call.self)) {
    const Value key = key_of(call, item, given(call, 1), call.truth(0, false));
    if (seen.find(key) != nullptr) continue;
    seen.set(key, {});
    out.push_back(item);
  }
  return call.heap.generator(std::move(out));
}

Value extreme(Invocation& call, int wanted) {
  const auto all = with_keys(call, given(call, 1), call.truth(0, false));
  if (all.empty()) return call.heap.undefined("an empty list has no smallest or largest element");
  const auto* best = &all[0];
  for (const auto& entry : all)
    if (compare(call.heap, entry.first, best->first) * wanted > 0) best = &entry;
  return best->second;
}
Value min(Invocation& call) { return extreme(call, -1); }
Value max(Invocation& call) { return extreme(call, 1); }

Value sum(Invocation& call) {
  Value total = call.has(1) ? call.at(1) : Value(0);
  for (const Value& item : elements(call.heap, call.self)) {
    const Value* attribute = given(call, 0);
    total = arithmetic(
        call.heap, BinaryOp::kAdd, total,
        attribute == nullptr ? item : attribute_path(call.heap, item, *attribute, nullptr));
  }
  return total;
}

Value groupby(Invocation& call) {
  const bool cased = call.truth(2, false);
  const auto key_of_item = [&](const Value& item) {
    const Value key = attribute_path(call.heap, item, call.at(0), given(call, 1));
    return std::pair(cased ? key : without_case(call.heap, key), key);
  };
  std::vector<std::pair<std::pair<Value, Value>, Value>> all;
  for (const Value& item : elements(call.heap, call.self))
    all.emplace_back(key_of_item(item), item);
  std::ranges::stable_sort(all, [&](const auto& a, const auto& b) {
    return compare(call.heap, a.first.first, b.first.first) < 0;
  });
  std::vector<Value> out;
  for (size_t begin = 0, end; begin < all.size(); begin = end) {
    std::vector<Value> items;
    for (end = begin;
         end < all.size() && equal(call.heap, all[end].first.first, all[begin].first.first); ++end)
      items.push_back(all[end].second);
    const Value group =
        call.heap.tuple({all[begin].first.second, call.heap.list(std::move(items))});
    group.object<Sequence>()->is_group = true;
    out.push_back(group);
  }
  return call.heap.list(std::move(out));
}

// What `map`, `select` and their kin go through: whatever is false has no elements, even `none`.
std::vector<Value> elements_if_any(Invocation& call) {
  return is_true(call.self) ? elements(call.heap, call.self) : std::vector<Value>();
}

CallArguments rest_of(const CallArguments& all, size_t from) {
  CallArguments rest;
  for (size_t i = from; i < all.positional.size(); ++i)
    rest.positional.push_back(all.positional[i]);
  rest.named = all.named;
  return rest;
}

Value map_attribute(Invocation& call) {
  const Value *attribute = nullptr, *fallback = nullptr;
  for (const auto& [name, value] : call.arguments.named) {
    if (name != "attribute" && name != "default") fault("'map' has no parameter '{}'", name);
    (name == "attribute" ? attribute : fallback) = &value;
  }
  if (attribute == nullptr) fault("'map' needs a filter or an attribute");
  std::vector<Value> out;
  for (const Value& item : elements_if_any(call))
    out.push_back(attribute_path(call.heap, item, *attribute, fallback));
  return call.heap.generator(std::move(out));
}

Value map(Invocation& call) {
  if (call.arguments.positional.empty()) return map_attribute(call);
  const std::string_view name = need_text(call.arguments.positional[0], "the name of a filter");
  const Builtin* filter = find_filter(name);
  if (filter == nullptr)
    fault("there is no filter '{}'.{}", name, did_you_mean(name, filter_names()));
  const CallArguments rest = rest_of(call.arguments, 1);
  std::vector<Value> out;
  for (const Value& item : elements_if_any(call))
    out.push_back(invoke(call.runtime, *filter, item, rest));
  return call.heap.generator(std::move(out));
}

// Keeps what passes a test (`wanted`), or what does not; of the element or of its attribute.
Value select_by(Invocation& call, bool wanted, bool of_attribute) {
  const std::vector<Value>& given_values = call.arguments.positional;
  if (of_attribute && given_values.empty()) fault("the filter needs the name of an attribute");
  const size_t at = of_attribute ? 1 : 0;
  const Builtin* test = nullptr;
  if (given_values.size() > at) {
    const std::string_view name = need_text(given_values[at], "the name of a test");
    test = find_test(name);
    if (test == nullptr) fault("there is no test '{}'.{}", name, did_you_mean(name, test_names()));
  }
  const CallArguments rest = rest_of(call.arguments, at + 1);
  std::vector<Value> out;
  for (const Value& item : elements_if_any(call)) {
    const Value value =
        of_attribute ? attribute_path(call.heap, item, given_values[0], nullptr) : item;
    const bool passes =
        test == nullptr ? is_true(value) : is_true(invoke(call.runtime, *test, value, rest));
    if (passes == wanted) out.push_back(item);
  }
  return call.heap.generator(std::move(out));
}
Value select(Invocation& call) { return select_by(call, true, false); }
Value reject(Invocation& call) { return select_by(call, false, false); }
Value selectattr(Invocation& call) { return select_by(call, true, true); }
Value rejectattr(Invocation& call) { return select_by(call, false, true); }

constexpr std::array kFilters = {
    Builtin{"groupby", "attribute default? case_sensitive?", groupby},
    Builtin{"map", "*", map},
    Builtin{"max", "case_sensitive? attribute?", max},
    Builtin{"min", "case_sensitive? attribute?", min},
    Builtin{"reject", "*", reject},
    Builtin{"rejectattr", "*", rejectattr},
    Builtin{"select", "*", select},
    Builtin{"selectattr", "*", selectattr},
    Builtin{"sort", "reverse? case_sensitive? attribute?", sort},
    Builtin{"sum", "attribute? start?", sum},
    Builtin{"unique", "case_sensitive? attribute?", unique},
};

}  // namespace

std::span<const Builtin> selection_filters() { return kFilters; }

}  // namespace lathe::jinja
