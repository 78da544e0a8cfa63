// JSON as Python's json.dumps writes it.
#include <algorithm>
#include <cmath>

#include "lathe/text/jinja/characters.h"
#include "lathe/text/jinja/filters.h"

namespace lathe::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(Heap& heap, const JsonStyle& style) : heap_(heap), style_(style) {}

  std::string write(const Value& value) {
    add(value, 0);
    return std::move(out_);
  }

 private:
  void add(const Value& value, int depth) {
    heap_.step();
    heap_.require_room(out_.size());
    if (depth > kMaxValueDepth)
      fault("tojson: a value has lists or objects in each other more than {} deep", kMaxValueDepth);
    if (value.is_text()) return add_text(value.text());
    if (value.is_none() || value.is_number()) return void(out_ += scalar(value));
    const Sequence* s = value.get_if<Sequence>();
    if (s != nullptr && s->has_index()) return add_list(*s, depth);
    if (const Dict* d = value.get_if<Dict>()) return add_dict(*d, depth);
    if (const Undefined* u = value.get_if<Undefined>()) fault("tojson: {}", *u->why);
    fault("tojson cannot write a value of type {}{}", type_name(value),
          s != nullptr ? "; make it a list with the filter `list` first" : "");
  }

  static std::string scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (value.is_bool()) return is_true(value) ? "true" : "false";
    if (value.is_int()) return int_text(value.integer());
    const double number = value.number();
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
    return float_text(number);
  }

  void line(int depth) {
    if (!style_.indented) return;
    out_ += '\n';
    for (int i = 0; i < depth; ++i) out_ += style_.indent;
  }

  void add_list(const Sequence& list, int depth) {
    if (list.items.empty()) return void(out_ += "[]");
    out_ += '[';
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out_ += style_.item_separator;
      line(depth + 1);
      add(list.items[i], depth + 1);
    }
    line(depth);
    out_ += ']';
  }

  void add_key(const Value& key) {
    if (key.is_text()) return add_text(key.text());
    if (!key.is_none() && !key.is_number())
      fault("tojson: the key of an object is of type {}, expected a text or a number",
            type_name(key));
    out_ += '"' + scalar(key) + '"';
  }

  void add_dict(const Dict& dict, int depth) {
    if (dict.entries.empty()) return void(out_ += "{}");
    std::vector<const std::pair<Value, Value>*> order;
    for (const auto& entry : dict.entries) order.push_back(&entry);
    if (style_.sorted)
      std::ranges::stable_sort(order, [&](const auto* a, const auto* b) {
        return compare(heap_, a->first, b->first) < 0;
      });
    out_ += '{';
    for (size_t i = 0; i < order.size(); ++i) {
      if (i > 0) out_ += style_.item_separator;
      line(depth + 1);
      add_key(order[i]->first);
      out_ += style_.key_separator;
      add(order[i]->second, depth + 1);
    }
    line(depth);
    out_ += '}';
  }

  void add_escape(char32_t c) {
    if (c < 0x10000) {
      out_ += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    } else {
      c -= 0x10000;
      out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (static_cast<uint32_t>(c) >> 10),
                          0xDC00 + (static_cast<uint32_t>(c) & 0x3FF));
    }
  }

  void add_text(std::string_view text) {
    constexpr std::string_view kShort = "\"\\\n\r\t\b\f", kNames = "\"\\nrtbf";
    heap_.charge(text.size());
    out_ += '"';
    for (const char32_t c : characters_of(text)) {
      const size_t i = c < 0x80 ? kShort.find(static_cast<char>(c)) : std::string_view::npos;
      if (i != std::string_view::npos)
        (out_ += '\\') += kNames[i];
      else if (c < 0x20 || (style_.ascii_only && c >= 0x7F))
        add_escape(c);
      else
        append_utf8(out_, c);
    }
    out_ += '"';
  }

  Heap& heap_;
  const JsonStyle& style_;
  std::string out_;
};

}  // namespace

std::string json_text(Heap& heap, const Value& value, const JsonStyle& style) {
  return JsonWriter(heap, style).write(value);
}

}  // namespace lathe::jinja
