#include "lathe/text/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lathe/base/utf8.h"
#include "lathe/text/jinja/characters.h"

namespace lathe::jinja {
namespace {

constexpr size_t kSmall = 8;  // entries of a dict that are searched without an index

void require_shallow(int depth) {
  if (depth > kMaxValueDepth)
    fault("a value has lists or objects in each other more than {} deep; write flatter ones",
          kMaxValueDepth);
}

// One text for each key that is equal to others: 1, 1.0 and true are one.
std::string key_of(const Value& key) {
  if (key.is_text()) return fmt::format("t{}", key.text());
  if (key.is_int()) return fmt::format("n{}", int_text(key.integer()));
  if (key.is_none()) return "N";
  if (key.is_undefined()) return "U";
  if (key.is_float()) {
    const double number = key.number();
    if (number == std::floor(number) && std::abs(number) < 1e30)
      return fmt::format("n{}", int_text(static_cast<Int>(number)));
    return fmt::format("f{}", float_text(number));
  }
  const Sequence* tuple = key.get_if<Sequence>();
  if (tuple == nullptr || !tuple->is_tuple())
    fault("a value of type {} cannot be the key of an object; use a text or a number",
          type_name(key));
  std::string out = "(";
  for (const Value& item : tuple->items) {
    const std::string part = key_of(item);
    out += fmt::format("{}:{}", part.size(), part);
    if (out.size() > 1 << 20) fault("the key of an object is longer than 1 MiB");
  }
  return out;
}

bool equal_sequences(Heap& heap, const Sequence& a, const Sequence& b, int depth) {
  return a.form == b.form && a.has_index() && a.items.size() == b.items.size() &&
         std::ranges::equal(a.items, b.items, [&](const Value& x, const Value& y) {
           return equal(heap, x, y, depth + 1);
         });
}

bool equal_dicts(Heap& heap, const Dict& a, const Dict& b, int depth) {
  if (a.entries.size() != b.entries.size()) return false;
  return std::ranges::all_of(a.entries, [&](const auto& entry) {
    const Value* other = b.find(entry.first);
    return other != nullptr && equal(heap, entry.second, *other, depth + 1);
  });
}

bool equal_ranges(const Range& a, const Range& b) {
  if (a.count() != b.count()) return false;
  return a.count() == 0 || (a.begin == b.begin && (a.count() == 1 || a.step == b.step));
}

int sign_of_order(std::string_view a, std::string_view b) {
  const int order = a.compare(b);  // UTF-8 has the order of code points
  return order < 0 ? -1 : order > 0;
}

int compare_numbers(const Value& a, const Value& b) {
  if (a.is_int() && b.is_int()) return a.integer() < b.integer() ? -1 : a.integer() > b.integer();
  return a.number() < b.number() ? -1 : a.number() > b.number();
}

int compare_sequences(Heap& heap, const Sequence& a, const Sequence& b, int depth) {
  const size_t both = std::min(a.items.size(), b.items.size());
  for (size_t i = 0; i < both; ++i)
    if (!equal(heap, a.items[i], b.items[i], depth + 1))
      return compare(heap, a.items[i], b.items[i], depth + 1);
  return a.items.size() < b.items.size() ? -1 : a.items.size() > b.items.size();
}

std::vector<Value> characters_as_values(Heap& heap, std::string_view text) {
  std::vector<Value> out;
  for (const char32_t c : characters_of(text)) {
    heap.step();
    out.push_back(heap.text(text_of({c})));
  }
  return out;
}

std::vector<Value> elements_of(const Sequence& sequence) {
  if (!sequence.is_generator()) return sequence.items;
  auto& taken = const_cast<Sequence&>(sequence).taken;
  const auto from = sequence.items.begin() + static_cast<std::ptrdiff_t>(taken);
  taken = sequence.items.size();
  return {from, sequence.items.end()};
}

}  // namespace

bool Value::is_same_object(const Value& other) const {
  if (is_object() && other.is_object())
    return std::get<Object*>(data_) == std::get<Object*>(other.data_);
  if (data_.index() != other.data_.index()) return false;
  if (is_text()) return text() == other.text();
  return (is_none() || is_undefined() || (is_int() && integer() == other.integer()));
}

const Value* Dict::find(std::string_view key) const {
  if (entries.size() > kSmall) {
    const auto found = index_.find(fmt::format("t{}", key));
    return found == index_.end() ? nullptr : &entries[found->second].second;
  }
  for (const auto& [k, v] : entries)
    if (k.is_text() && k.text() == key) return &v;
  return nullptr;
}

const Value* Dict::find(const Value& key) const {
  if (key.is_text()) return find(key.text());
  const auto found = index_.find(key_of(key));
  return found == index_.end() ? nullptr : &entries[found->second].second;
}

void Dict::set(const Value& key, Value value) {
  const auto [place, added] = index_.try_emplace(key_of(key), entries.size());
  if (added)
    entries.emplace_back(key, std::move(value));
  else
    entries[place->second].second = std::move(value);
}

Int Range::count() const {
  const Int span = step > 0 ? end - begin : begin - end;
  const Int stride = step > 0 ? step : -step;
  return span <= 0 ? 0 : (span + stride - 1) / stride;
}

void Heap::step(int64_t n) {
  steps_ += n;
  if (steps_ > limits_.steps)
    fault("the template does not end: it was stopped after {} steps; look for loops within loops",
          limits_.steps);
}

void Heap::charge(size_t bytes) {
  bytes_ += bytes;
  if (bytes_ > limits_.bytes)
    fault("the template uses more than {} MiB of memory; look for texts or lists that grow",
          limits_.bytes >> 20);
}

void Heap::require_room(size_t bytes) const {
  if (bytes > limits_.output)
    fault("the template makes a text of more than {} MiB", limits_.output >> 20);
}

Value Heap::text(std::string bytes, bool safe) {
  require_room(bytes.size());
  charge(bytes.size() + sizeof(TextData));
  const bool ascii = is_ascii(bytes);
  return std::make_shared<const TextData>(TextData{std::move(bytes), ascii, safe});
}

Value Heap::sequence(SequenceForm form, std::vector<Value> items) {
  step(static_cast<int64_t>(items.size() / 8));
  charge(items.size() * sizeof(Value));
  return make<Sequence>(form, std::move(items));
}

Value Heap::undefined(std::string why) const {
  return Undefined{std::make_shared<const std::string>(std::move(why))};
}

bool is_true(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (value.is_int()) return value.integer() != 0;
  if (value.is_float()) return value.number() != 0;
  if (value.is_text()) return !value.text().empty();
  if (const Sequence* s = value.get_if<Sequence>()) return s->is_generator() || !s->items.empty();
  if (const Dict* d = value.get_if<Dict>()) return !d->entries.empty();
  if (const Range* r = value.get_if<Range>()) return r->count() > 0;
  return true;
}

bool equal(Heap& heap, const Value& a, const Value& b, int depth) {
  heap.step();
  require_shallow(depth);
  if (a.is_number() && b.is_number()) {
    if (a.is_int() && b.is_int()) return a.integer() == b.integer();
    return a.number() == b.number();
  }
  if (a.is_text() && b.is_text()) return a.text() == b.text();
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
  if (!a.is_object() || !b.is_object()) return false;
  if (a.is_same_object(b)) return true;
  if (const Sequence* x = a.get_if<Sequence>(), *y = b.get_if<Sequence>(); x && y)
    return equal_sequences(heap, *x, *y, depth);
  if (const Dict* x = a.get_if<Dict>(), *y = b.get_if<Dict>(); x && y)
    return equal_dicts(heap, *x, *y, depth);
  if (const Range* x = a.get_if<Range>(), *y = b.get_if<Range>(); x && y)
    return equal_ranges(*x, *y);
  return false;
}

int compare(Heap& heap, const Value& a, const Value& b, int depth) {
  heap.step();
  require_shallow(depth);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  if (a.is_text() && b.is_text()) return sign_of_order(a.text(), b.text());
  const Sequence *x = a.get_if<Sequence>(), *y = b.get_if<Sequence>();
  if (x && y && x->form == y->form && x->has_index()) return compare_sequences(heap, *x, *y, depth);
  fault("values of types {} and {} have no order", type_name(a), type_name(b));
}

bool is_iterable(const Value& value) {
  return value.is_undefined() || value.is_text() || value.get_if<Sequence>() != nullptr ||
         value.get_if<Dict>() != nullptr || value.get_if<Range>() != nullptr;
}

std::vector<Value> elements(Heap& heap, const Value& value) {
  if (value.is_undefined()) return {};
  if (value.is_text()) return characters_as_values(heap, value.text());
  std::vector<Value> out;
  if (const Sequence* s = value.get_if<Sequence>()) {
    out = elements_of(*s);
  } else if (const Dict* d = value.get_if<Dict>()) {
    for (const auto& entry : d->entries) out.push_back(entry.first);
  } else if (const Range* r = value.get_if<Range>()) {
    for (Int i = 0; i < r->count(); ++i) out.push_back(r->at(i));
  } else {
    fault("a value of type {} has no elements to go through", type_name(value));
  }
  heap.step(static_cast<int64_t>(out.size() / 8));
  return out;
}

Int length(const Value& value) {
  if (value.is_undefined()) return 0;
  if (value.is_text())
    return value.text_data().ascii ? static_cast<Int>(value.text().size())
                                   : Int{count_characters(value.text())};
  if (const Sequence* s = value.get_if<Sequence>(); s && !s->is_generator())
    return static_cast<Int>(s->items.size());
  if (const Dict* d = value.get_if<Dict>()) return static_cast<Int>(d->entries.size());
  if (const Range* r = value.get_if<Range>()) return r->count();
  fault("a value of type {} has no length{}", type_name(value),
        value.get_if<Sequence>() != nullptr ? "; make it a list with the filter `list` first" : "");
}

int64_t need_int(const Value& value, std::string_view what) {
  if (!value.is_int()) fault("{} is of type {}, expected an integer", what, type_name(value));
  if (value.integer() < INT64_MIN || value.integer() > INT64_MAX)
    fault("{} is {}, which is too large", what, int_text(value.integer()));
  return static_cast<int64_t>(value.integer());
}

std::string_view need_text(const Value& value, std::string_view what) {
  if (!value.is_text()) fault("{} is of type {}, expected a text", what, type_name(value));
  return value.text();
}

}  // namespace lathe::jinja
