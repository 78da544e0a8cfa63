#include "lathe/text/jinja/methods.h"

#include <algorithm>
#include <array>

#include "lathe/text/jinja/runtime.h"

namespace lathe::jinja {
namespace {

const Dict& dict_of(const Invocation& call) { return *call.self.get_if<Dict>(); }
const std::vector<Value>& items_of(const Invocation& call) {
  return call.self.get_if<Sequence>()->items;
}

Value dict_get(Invocation& call) {
  const Value* found = dict_of(call).find(call.at(0));
  return found != nullptr ? *found : call.has(1) ? call.at(1) : Value();
}

Value dict_view(Invocation& call, SequenceForm form) {
  std::vector<Value> out;
  for (const auto& [key, value] : dict_of(call).entries)
    out.push_back(form == SequenceForm::kKeys     ? key
                  : form == SequenceForm::kValues ? value
                                                  : call.heap.tuple({key, value}));
  return call.heap.sequence(form, std::move(out));
}

Value dict_items(Invocation& call) { return dict_view(call, SequenceForm::kItems); }
Value dict_keys(Invocation& call) { return dict_view(call, SequenceForm::kKeys); }
Value dict_values(Invocation& call) { return dict_view(call, SequenceForm::kValues); }

// Values do not change, so a copy is the value itself.
Value copy(Invocation& call) { return call.self; }

Value count(Invocation& call) {
  return std::ranges::count_if(items_of(call),
                               [&](const Value& v) { return equal(call.heap, v, call.at(0)); });
}

Value index(Invocation& call) {
  const std::vector<Value>& items = items_of(call);
  const auto found =
      std::ranges::find_if(items, [&](const Value& v) { return equal(call.heap, v, call.at(0)); });
  if (found == items.end()) fault("the list does not hold this value");
  return static_cast<int64_t>(found - items.begin());
}

Value bit_length(Invocation& call) {
  int64_t bits = 0;
  for (Int rest = call.self.integer(); rest != 0; rest /= 2) ++bits;
  return bits;
}

Value is_whole(Invocation& call) {
  const double x = call.self.number();
  return x == x && x - x == 0 && x == static_cast<double>(static_cast<int64_t>(x));
}

constexpr std::array kDictMethods = {
    Builtin{"get", "key default?", dict_get},
    Builtin{"items", "", dict_items},
    Builtin{"keys", "", dict_keys},
    Builtin{"values", "", dict_values},
    Builtin{"copy", "", copy},
};
constexpr std::array kListMethods = {Builtin{"count", "value", count},
                                     Builtin{"index", "value", index}, Builtin{"copy", "", copy}};
constexpr std::array kTupleMethods = {Builtin{"count", "value", count},
                                      Builtin{"index", "value", index}};
constexpr std::array kIntMethods = {Builtin{"bit_length", "", bit_length}};
constexpr std::array kFloatMethods = {Builtin{"is_integer", "", is_whole}};

template <class Table>
const Builtin* find_by_name(const Table& table, std::string_view name) {
  const auto found = std::ranges::find(table, name, &Builtin::name);
  return found == table.end() ? nullptr : &*found;
}

}  // namespace

const Builtin* find_method(const Value& object, std::string_view name) {
  if (object.is_text()) return find_text_method(name);
  if (object.get_if<Dict>() != nullptr) return find_by_name(kDictMethods, name);
  if (object.is_int()) return find_by_name(kIntMethods, name);
  if (object.is_float()) return find_by_name(kFloatMethods, name);
  const Sequence* s = object.get_if<Sequence>();
  if (s == nullptr || !s->has_index()) return nullptr;
  return s->is_list() ? find_by_name(kListMethods, name) : find_by_name(kTupleMethods, name);
}

bool changes_values(const Value& object, std::string_view name) {
  constexpr std::array<std::string_view, 8> kOfLists = {"append", "clear",  "pop",  "reverse",
                                                        "insert", "extend", "sort", "remove"};
  constexpr std::array<std::string_view, 5> kOfDicts = {"clear", "pop", "popitem", "setdefault",
                                                        "update"};
  if (object.get_if<Dict>() != nullptr) return std::ranges::find(kOfDicts, name) != kOfDicts.end();
  const Sequence* s = object.get_if<Sequence>();
  return s != nullptr && s->is_list() && std::ranges::find(kOfLists, name) != kOfLists.end();
}

}  // namespace lathe::jinja
