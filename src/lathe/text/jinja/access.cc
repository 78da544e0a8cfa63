#include "lathe/text/jinja/access.h"

#include "lathe/base/utf8.h"
#include "lathe/text/jinja/characters.h"
#include "lathe/text/jinja/globals.h"
#include "lathe/text/jinja/loop.h"
#include "lathe/text/jinja/methods.h"
#include "lathe/text/jinja/operators.h"

namespace lathe::jinja {
namespace {

// Jinja calls what a value of this kind is like this.
std::string kind_of(const Value& value) {
  return fmt::format("a value of type {}", type_name(value));
}

// What templates may not touch: the insides of Python's objects, and what changes a value.
Value forbidden(Heap& heap, const Value& object, std::string_view name) {
  if (!changes_values(object, name))
    return heap.undefined(
        fmt::format("'{}' of {} is not open to templates", name, kind_of(object)));
  return heap.undefined(fmt::format(
      "'{}' would change {}, which the sandbox of chat templates forbids; make a new one, e.g. {}",
      name, kind_of(object),
      object.get_if<Dict>() != nullptr ? "dict(old, key=value)" : "old + [item]"));
}

// A method or a fixed attribute; false if there is none of that name.
bool find_attribute(Heap& heap, const Value& object, std::string_view name, Value& out) {
  if (const Namespace* ns = object.get_if<Namespace>()) {
    const Value* value = ns->attributes.find(name);
    if (value != nullptr) out = *value;
    return value != nullptr;
  }
  if (cycler_attribute(heap, object, name, out)) return true;
  if (Loop* loop = object.object<Loop>(); loop != nullptr && loop->attribute(heap, name, out))
    return true;
  const Sequence* s = object.get_if<Sequence>();
  if (s != nullptr && s->is_group && (name == "grouper" || name == "list")) {
    out = s->items[name == "list" ? 1 : 0];
    return true;
  }
  if (changes_values(object, name) || name.starts_with("__")) {
    out = forbidden(heap, object, name);
    return true;
  }
  const Builtin* method = find_method(object, name);
  if (method == nullptr) return false;
  out = heap.make<Function>(*method, object);
  return true;
}

// An index from the front; false if there is no such element.
bool find_place(const Value& key, Int count, Int& out) {
  if (!key.is_int()) return false;
  out = key.integer() < 0 ? key.integer() + count : key.integer();
  return out >= 0 && out < count;
}

Value character_at(Heap& heap, const Value& object, Int index) {
  const std::string_view text = object.text();
  const auto i = static_cast<size_t>(index);
  if (object.text_data().ascii) return heap.text(std::string(1, text[i]), object.is_safe_text());
  heap.charge(text.size());
  const size_t begin = byte_of(text, i);
  const size_t size = byte_of(text.substr(begin), 1);
  return heap.text(std::string(text.substr(begin, size)), object.is_safe_text());
}

bool can_be_key(const Value& key) {
  const Sequence* s = key.get_if<Sequence>();
  return !key.is_object() || (s != nullptr && s->is_tuple());
}

bool find_item(Heap& heap, const Value& object, const Value& key, Value& out) {
  if (const Dict* dict = object.get_if<Dict>()) {
    const Value* value = can_be_key(key) ? dict->find(key) : nullptr;
    if (value != nullptr) out = *value;
    return value != nullptr;
  }
  Int place = 0;
  if (object.is_text() && find_place(key, length(object), place)) {
    out = character_at(heap, object, place);
    return true;
  }
  if (const Sequence* s = object.get_if<Sequence>();
      s != nullptr && s->has_index() && find_place(key, static_cast<Int>(s->items.size()), place)) {
    out = s->items[static_cast<size_t>(place)];
    return true;
  }
  if (const Range* r = object.get_if<Range>(); r != nullptr && find_place(key, r->count(), place)) {
    out = r->at(place);
    return true;
  }
  return false;
}

Value missing(Heap& heap, const Value& object, const Value& key) {
  if (object.get_if<Sequence>() != nullptr && key.is_int())
    return heap.undefined(fmt::format("the list has no element {}", int_text(key.integer())));
  return heap.undefined(
      fmt::format("{} has no '{}'", kind_of(object), key.is_text() ? key.text() : type_name(key)));
}

// The places that a slice takes of `count` elements: begin, begin + step, … `taken` of them.
struct Stretch {
  Int begin = 0, step = 1, taken = 0;
};

Int bound(const Value* value, Int fallback, Int count, Int lowest, Int highest) {
  if (value == nullptr || value->is_none()) return fallback;
  if (!value->is_int()) fault("the bounds of a slice are integers, not {}", type_name(*value));
  const Int place = value->integer() < 0 ? value->integer() + count : value->integer();
  return place < lowest ? lowest : place > highest ? highest : place;
}

Stretch stretch_of(Int count, const Value* begin, const Value* end, const Value* step) {
  Stretch s;
  if (step != nullptr && !step->is_none()) s.step = need_int(*step, "the step of a slice");
  if (s.step == 0) fault("the step of a slice cannot be 0");
  const bool forward = s.step > 0;
  const Int lowest = forward ? 0 : -1, highest = forward ? count : count - 1;
  s.begin = bound(begin, forward ? 0 : count - 1, count, lowest, highest);
  const Int stop = bound(end, forward ? count : -1, count, lowest, highest);
  s.taken = Range(s.begin, stop, s.step).count();
  if (s.taken <= 1) s.step = 1;  // which keeps the steps of slices of slices small
  return s;
}

Value slice_of_text(Heap& heap, const Value& object, const Stretch& s) {
  const std::string_view text = object.text();
  heap.charge(text.size());
  if (s.step == 1) {
    const size_t begin = byte_of(text, static_cast<size_t>(s.begin));
    const size_t size = byte_of(text.substr(begin), static_cast<size_t>(s.taken));
    return heap.text(std::string(text.substr(begin, size)), object.is_safe_text());
  }
  const std::vector<char32_t> characters = characters_of(text);
  std::string out;
  for (Int i = 0; i < s.taken; ++i)
    append_utf8(out, characters[static_cast<size_t>(s.begin + i * s.step)]);
  return heap.text(std::move(out), object.is_safe_text());
}

}  // namespace

Value attribute_of(Heap& heap, const Value& object, std::string_view name) {
  require_defined(object);
  Value out;
  if (find_attribute(heap, object, name, out)) return out;
  const Value key = heap.text(std::string(name));
  return find_item(heap, object, key, out) ? out : missing(heap, object, key);
}

Value item_of(Heap& heap, const Value& object, const Value& key) {
  require_defined(object);
  Value out;
  if (find_item(heap, object, key, out)) return out;
  if (key.is_text() && find_attribute(heap, object, key.text(), out)) return out;
  return missing(heap, object, key);
}

Value slice_of(Heap& heap, const Value& object, const Value* begin, const Value* end,
               const Value* step) {
  require_defined(object);
  const Sequence* list = object.get_if<Sequence>();
  const Range* range = object.get_if<Range>();
  if (!object.is_text() && range == nullptr && (list == nullptr || !list->has_index()))
    fault("only a text or a list has slices, not {}", kind_of(object));
  const Stretch s = stretch_of(length(object), begin, end, step);
  if (object.is_text()) return slice_of_text(heap, object, s);
  if (range != nullptr)
    return heap.make<Range>(range->begin + s.begin * range->step,
                            range->begin + (s.begin + s.taken * s.step) * range->step,
                            range->step * s.step);
  std::vector<Value> items;
  for (Int i = 0; i < s.taken; ++i)
    items.push_back(list->items[static_cast<size_t>(s.begin + i * s.step)]);
  return heap.sequence(list->form, std::move(items));
}

}  // namespace lathe::jinja
