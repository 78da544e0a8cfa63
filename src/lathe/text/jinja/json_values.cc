#include "lathe/text/jinja/json_values.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/utf8.h"

namespace lathe::jinja {
namespace {

using Json = nlohmann::ordered_json;

Value text_from_json(Heap& heap, const std::string& text) {
  if (!is_valid_utf8(text)) fault("a text of the variables is not valid UTF-8");
  return heap.text(text);
}

void require_shallow(int depth) {
  if (depth > kMaxValueDepth)
    fault("the variables have lists or objects in each other more than {} deep", kMaxValueDepth);
}

Value list_from_json(Heap& heap, const Json& json, int depth) {
  std::vector<Value> items;
  for (const Json& item : json) items.push_back(from_json(heap, item, depth + 1));
  return heap.list(std::move(items));
}

Value dict_from_json(Heap& heap, const Json& json, int depth) {
  Dict* dict = heap.dict();
  for (const auto& [key, value] : json.items()) {
    heap.charge(2 * sizeof(Value));
    dict->set(text_from_json(heap, key), from_json(heap, value, depth + 1));
  }
  return dict;
}

Json list_to_json(Heap& heap, const std::vector<Value>& items, int depth) {
  Json out = Json::array();
  for (const Value& item : items) out.push_back(to_json(heap, item, depth + 1));
  return out;
}

Json dict_to_json(Heap& heap, const Dict& dict, int depth) {
  Json out = Json::object();
  for (const auto& [key, value] : dict.entries)
    out[to_text(heap, key)] = to_json(heap, value, depth + 1);
  return out;
}

}  // namespace

Value from_json(Heap& heap, const Json& json, int depth) {
  require_shallow(depth);
  switch (json.type()) {
    case Json::value_t::object:
      return dict_from_json(heap, json, depth);
    case Json::value_t::array:
      return list_from_json(heap, json, depth);
    case Json::value_t::string:
      return text_from_json(heap, json.get_ref<const std::string&>());
    case Json::value_t::boolean:
      return json.get<bool>();
    case Json::value_t::number_integer:
      return static_cast<Int>(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      return static_cast<Int>(json.get<uint64_t>());
    case Json::value_t::number_float:
      return json.get<double>();
    default:
      return None();
  }
}

Json to_json(Heap& heap, const Value& value, int depth) {
  heap.step();
  require_shallow(depth);
  if (value.is_none()) return nullptr;
  if (value.is_bool()) return is_true(value);
  if (value.is_int()) {
    const Int i = value.integer();
    if (i >= 0 && i <= static_cast<Int>(UINT64_MAX)) return static_cast<uint64_t>(i);
    return need_int(value, "the number");
  }
  if (value.is_float()) return value.number();
  if (value.is_text()) return value.text();
  if (const Sequence* s = value.get_if<Sequence>())
    return list_to_json(heap, s->is_generator() ? elements(heap, value) : s->items, depth);
  if (value.get_if<Range>() != nullptr) return list_to_json(heap, elements(heap, value), depth);
  if (const Dict* d = value.get_if<Dict>()) return dict_to_json(heap, *d, depth);
  fault("a value of type {} has no form in JSON", type_name(value));
}

}  // namespace lathe::jinja
