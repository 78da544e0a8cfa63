// Values as Python prints them.
#include <charconv>
#include <cmath>

#include "lathe/text/jinja/characters.h"
#include "lathe/text/jinja/value.h"

namespace lathe::jinja {
namespace {

std::string quoted(std::string_view text) {
  const bool doubled =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char32_t quote = doubled ? '"' : '\'';
  std::string out(1, static_cast<char>(quote));
  for (const char32_t c : characters_of(text)) {
    if (c == quote || c == '\\')
      (out += '\\') += static_cast<char>(c);
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (is_printable(c))
      append_utf8(out, c);
    else if (c < 0x100)
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
    else if (c < 0x10000)
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    else
      out += fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
  }
  return out + static_cast<char>(quote);
}

std::string joined(Heap& heap, const std::vector<Value>& items, int depth) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    out += (i > 0 ? ", " : "") + to_repr(heap, items[i], depth + 1);
    heap.require_room(out.size());
  }
  return out;
}

std::string sequence_repr(Heap& heap, const Sequence& sequence, int depth) {
  const std::string inside = joined(heap, sequence.items, depth);
  switch (sequence.form) {
    case SequenceForm::kList:
      return "[" + inside + "]";
    case SequenceForm::kTuple:
      return "(" + inside + (sequence.items.size() == 1 ? ",)" : ")");
    case SequenceForm::kKeys:
      return "dict_keys([" + inside + "])";
    case SequenceForm::kValues:
      return "dict_values([" + inside + "])";
    case SequenceForm::kItems:
      return "dict_items([" + inside + "])";
    case SequenceForm::kGenerator:
      break;
  }
  fault(
      "what a filter gives element by element cannot be printed; make it a list with `list`, or "
      "a text with `join`");
}

std::string dict_repr(Heap& heap, const Dict& dict, int depth) {
  std::string out = "{";
  for (const auto& [key, value] : dict.entries)
    out += (out.size() > 1 ? ", " : "") + to_repr(heap, key, depth + 1) + ": " +
           to_repr(heap, value, depth + 1);
  return out + "}";
}

std::string range_repr(const Range& r) {
  std::string out = "range(" + int_text(r.begin) + ", " + int_text(r.end);
  return r.step == 1 ? out + ")" : out + ", " + int_text(r.step) + ")";
}

std::string object_repr(Heap& heap, const Value& value, int depth) {
  if (depth > kMaxValueDepth)
    fault("a value has lists or objects in each other more than {} deep; write flatter ones",
          kMaxValueDepth);
  if (const Sequence* s = value.get_if<Sequence>()) return sequence_repr(heap, *s, depth);
  if (const Dict* d = value.get_if<Dict>()) return dict_repr(heap, *d, depth);
  if (const Range* r = value.get_if<Range>()) return range_repr(*r);
  fault("a value of type {} cannot be printed", type_name(value));
}

}  // namespace

std::string_view type_name(const Value& value) {
  if (value.is_undefined()) return "Undefined";
  if (value.is_none()) return "NoneType";
  if (value.is_bool()) return "bool";
  if (value.is_int()) return "int";
  if (value.is_float()) return "float";
  if (value.is_text()) return "str";
  if (value.get_if<Dict>() != nullptr) return "dict";
  if (value.get_if<Range>() != nullptr) return "range";
  if (value.get_if<Namespace>() != nullptr) return "namespace";
  const Sequence* s = value.get_if<Sequence>();
  if (s == nullptr) return "function, macro or loop";
  constexpr std::string_view kNames[] = {"list",        "tuple",      "dict_keys",
                                         "dict_values", "dict_items", "generator"};
  return kNames[static_cast<size_t>(s->form)];
}

std::string int_text(Int value) {
  if (value == 0) return "0";
  std::string digits;
  for (Int rest = value; rest != 0; rest /= 10) {
    const int digit = static_cast<int>(rest % 10);
    digits.insert(digits.begin(), static_cast<char>('0' + (digit < 0 ? -digit : digit)));
  }
  return (value < 0 ? "-" : "") + digits;
}

// The shortest digits that read back as the same number, with an exponent from 1e16 and below 1e-4.
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  const std::string_view all(buffer, static_cast<size_t>(end.ptr - buffer));
  const int exponent = std::stoi(std::string(all.substr(all.find('e') + 1)));
  if (value != 0 && (exponent < -4 || exponent >= 16)) return std::string(all);
  const auto fixed =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed);
  std::string out(buffer, fixed.ptr);
  return out.find('.') == std::string::npos ? out + ".0" : out;
}

std::string to_repr(Heap& heap, const Value& value, int depth) {
  heap.step();
  if (value.is_text())
    return value.is_safe_text() ? fmt::format("Markup({})", quoted(value.text()))
                                : quoted(value.text());
  if (value.is_undefined()) return "Undefined";
  return value.is_object() ? object_repr(heap, value, depth) : to_text(heap, value);
}

std::string to_text(Heap& heap, const Value& value) {
  if (value.is_text()) return std::string(value.text());
  if (value.is_undefined()) return "";
  if (value.is_none()) return "None";
  if (value.is_bool()) return value.integer() != 0 ? "True" : "False";
  if (value.is_int()) return int_text(value.integer());
  if (value.is_float()) return float_text(value.number());
  return object_repr(heap, value, 0);
}

Value as_text(Heap& heap, const Value& value) {
  return value.is_text() ? value : heap.text(to_text(heap, value));
}

}  // namespace lathe::jinja
