// Filters that make a text of a value.
#include <algorithm>
#include <array>
#include <cmath>

#include "lathe/text/jinja/characters.h"
#include "lathe/text/jinja/filters.h"
#include "lathe/text/jinja/operators.h"
#include "lathe/text/jinja/runtime.h"
#include "lathe/text/jinja/text_format.h"

namespace lathe::jinja {
namespace {

// The text that a filter works on, and whether it is markup.
struct Input {
  std::string text;
  bool safe;
};
Input input_of(Invocation& call) {
  Input in{to_text(call.heap, call.self), call.self.is_safe_text()};
  call.heap.charge(in.text.size());
  return in;
}

template <std::string (*change)(std::string_view)>
Value changed(Invocation& call) {
  const Input in = input_of(call);
  return call.heap.text(change(in.text), in.safe);
}

// Every word begins with a capital; a word also begins behind a bracket or a hyphen.
std::string titled(std::string_view text) {
  constexpr std::string_view kBreaks = "-({[<";
  std::string out;
  size_t at = 0;
  while (at < text.size()) {
    const auto breaks = [&](size_t i) {
      const CodePoint c = decode_utf8(as_bytes(text) + i, as_bytes(text) + text.size());
      return is_space(c.value) ||
             (c.value < 0x80 && kBreaks.find(text[i]) != std::string_view::npos);
    };
    size_t end = at;
    const bool gap = breaks(at);
    while (end < text.size() && breaks(end) == gap) end += byte_of(text.substr(end), 1);
    const std::string_view part = text.substr(at, end - at);
    const size_t first = byte_of(part, 1);
    out += gap ? std::string(part)
               : upper_case(part.substr(0, first)) + lower_case_of(part.substr(first));
    at = end;
  }
  return out;
}

Value string(Invocation& call) { return as_text(call.heap, call.self); }

Value trim(Invocation& call) {
  const Input in = input_of(call);
  Drop drop = is_space;
  if (call.has(0) && !call.at(0).is_none()) {
    std::vector<char32_t> set = characters_of(call.text(0, "the characters to trim"));
    drop = [set = std::move(set)](char32_t c) { return std::ranges::find(set, c) != set.end(); };
  }
  return call.heap.text(std::string(strip_right(strip_left(in.text, drop), drop)), in.safe);
}

Value replace(Invocation& call) {
  const Input in = input_of(call);
  const std::string from = to_text(call.heap, call.at(0)), to = to_text(call.heap, call.at(1));
  const bool all = !call.has(2) || call.at(2).is_none();
  const int64_t count = all ? -1 : need_int(call.at(2), "how often to replace");
  return call.heap.text(replaced(in.text, from, to, count, call.heap.limits().output));
}

Value join(Invocation& call) {
  const std::string between = call.has(0) ? to_text(call.heap, call.at(0)) : "";
  std::string out;
  bool first = true;
  for (const Value& item : elements(call.heap, call.self)) {
    if (!std::exchange(first, false)) out += between;
    out += to_text(call.heap, call.has(1) && !call.at(1).is_none()
                                  ? attribute_path(call.heap, item, call.at(1), nullptr)
                                  : item);
    call.heap.require_room(out.size());
  }
  return call.heap.text(std::move(out));
}

Value escape(Invocation& call) {
  if (call.self.is_safe_text()) return call.self;
  return call.heap.text(escaped(input_of(call).text), true);
}
Value force_escape(Invocation& call) { return call.heap.text(escaped(input_of(call).text), true); }
Value safe(Invocation& call) { return call.heap.text(input_of(call).text, true); }

std::string without_tags(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const bool comment = text.substr(at).starts_with("<!--");
    const size_t end =
        text[at] != '<' ? std::string_view::npos : text.find(comment ? "-->" : ">", at);
    if (end == std::string_view::npos)
      out += text[at++];
    else
      at = end + (comment ? 3 : 1);
  }
  std::string joined;  // one blank for all white space
  for (const char32_t c : characters_of(strip_right(strip_left(out)))) {
    if (!is_space(c))
      append_utf8(joined, c);
    else if (!joined.ends_with(' '))
      joined += ' ';
  }
  return joined;
}

Value indent(Invocation& call) {
  need_text(call.self, "what is indented");
  const Input in = input_of(call);
  std::string blanks;
  if (call.has(0) && call.at(0).is_text()) {
    blanks = call.at(0).text();
  } else {
    const int64_t width = call.integer(0, 4, "the width of an indent");
    call.heap.require_room(static_cast<size_t>(std::max<int64_t>(width, 0)));
    blanks.assign(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  }
  const bool first = call.truth(1, false), blank = call.truth(2, false);
  const std::string text = in.text + "\n";  // as Jinja does, so that a last empty line counts
  std::string out;
  bool begin = true;
  for (const std::string_view line : lines_of(text)) {
    if (!begin) out += '\n';
    if (begin ? first : blank || !line.empty()) out += blanks;
    out += line;
    call.heap.require_room(out.size());
    begin = false;
  }
  return call.heap.text(std::move(out), in.safe);
}

Value center(Invocation& call) {
  const Input in = input_of(call);
  const int64_t width = call.integer(0, 80, "the width");
  const int64_t all = std::max<int64_t>(0, width - count_characters(in.text));
  call.heap.require_room(static_cast<size_t>(all));
  const int64_t left = all / 2 + (all & width & 1);
  return call.heap.text(std::string(static_cast<size_t>(left), ' ') + in.text +
                            std::string(static_cast<size_t>(all - left), ' '),
                        in.safe);
}

Value truncate(Invocation& call) {
  const Int size = length(call.self);
  const int64_t most = call.integer(0, 255, "the length");
  const std::string end = call.has(2) ? std::string(call.text(2, "the end")) : "...";
  const int64_t leeway =
      call.has(3) && !call.at(3).is_none() ? need_int(call.at(3), "the leeway") : 5;
  const int64_t kept = most - count_characters(end);
  if (kept < 0) fault("the length is {}, expected at least that of the end '{}'", most, end);
  if (leeway < 0) fault("the leeway is {}, expected at least 0", leeway);
  if (size - leeway <= most) return call.self;
  need_text(call.self, "what is cut");
  const Input in = input_of(call);
  std::string cut = in.text.substr(0, byte_of(in.text, static_cast<size_t>(kept)));
  if (!call.truth(1, false)) cut = cut.substr(0, cut.rfind(' '));
  return call.heap.text(cut + end, in.safe);
}

Value wordcount(Invocation& call) {
  int64_t words = 0;
  bool inside = false;
  for (const char32_t c : characters_of(input_of(call).text)) {
    const bool letter = c == '_' || is_word_character(c);
    words += letter && !inside;
    inside = letter;
  }
  return words;
}

// As in a path, which keeps its slashes, or as in a query, where a blank is a plus.
std::string percent_encoded(std::string_view text, bool in_query) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("_.-~").find(c) != std::string_view::npos ||
                       (!in_query && c == '/');
    out += plain                  ? std::string(1, c)
           : in_query && c == ' ' ? std::string("+")
                                  : fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return out;
}

Value urlencode(Invocation& call) {
  const Dict* dict = call.self.get_if<Dict>();
  if (call.self.is_text() || (dict == nullptr && !is_iterable(call.self)))
    return call.heap.text(percent_encoded(input_of(call).text, false));
  std::string out;
  const auto add = [&](const Value& key, const Value& value) {
    if (!out.empty()) out += '&';
    out += percent_encoded(to_text(call.heap, key), true) + '=' +
           percent_encoded(to_text(call.heap, value), true);
    call.heap.require_room(out.size());
  };
  if (dict != nullptr) {
    for (const auto& [key, value] : dict->entries) add(key, value);
  } else {
    for (const Value& pair : elements(call.heap, call.self)) {
      const std::vector<Value> both = elements(call.heap, pair);
      if (both.size() != 2) fault("urlencode takes pairs, and this has {} elements", both.size());
      add(both[0], both[1]);
    }
  }
  return call.heap.text(std::move(out));
}

Value xmlattr(Invocation& call) {
  const Dict* dict = call.self.get_if<Dict>();
  if (dict == nullptr)
    fault("xmlattr takes an object, got a value of type {}", type_name(call.self));
  std::string out;
  for (const auto& [key, value] : dict->entries) {
    if (value.is_none() || value.is_undefined()) continue;
    const std::string name = to_text(call.heap, key);
    if (name.find_first_of(" \t\n\f\r/>=") != std::string::npos)
      fault("'{}' cannot be the name of an attribute", name);
    const std::string text = to_text(call.heap, value);
    out += fmt::format(" {}=\"{}\"", escaped(name), value.is_safe_text() ? text : escaped(text));
  }
  if (!out.empty() && !call.truth(0, true)) out.erase(0, 1);
  return call.heap.text(std::move(out), true);
}

Value format(Invocation& call) {
  const Value text = as_text(call.heap, call.self);
  if (!call.arguments.named.empty() && !call.arguments.positional.empty())
    fault("format takes values with names or without, not both");
  Value values = call.heap.tuple(call.arguments.positional);
  if (!call.arguments.named.empty()) {
    Dict* dict = call.heap.dict();
    for (const auto& [key, value] : call.arguments.named) dict->set(call.heap.text(key), value);
    values = dict;
  }
  return call.heap.text(percent_format(call.heap, text, values), text.is_safe_text());
}

Value tojson(Invocation& call) {
  JsonStyle style;
  style.ascii_only = call.truth(0, false);
  if (call.has(1) && !call.at(1).is_none()) {
    style.indented = true;
    style.item_separator.resize(1);  // without its blank
    if (call.at(1).is_text())
      style.indent = call.at(1).text();
    else
      style.indent.assign(
          static_cast<size_t>(std::clamp<int64_t>(need_int(call.at(1), "the indent"), 0, 1000)),
          ' ');
  }
  if (call.has(2) && !call.at(2).is_none()) {
    const std::vector<Value> both = elements(call.heap, call.at(2));
    if (both.size() != 2) fault("tojson takes two separators, got {}", both.size());
    style.item_separator = need_text(both[0], "a separator");
    style.key_separator = need_text(both[1], "a separator");
  }
  style.sorted = call.truth(3, false);
  return call.heap.text(json_text(call.heap, call.self, style));
}

Value refuse(Invocation&) {
  fault(
      "the filters `random`, `urlize`, `pprint` and `wordwrap` are not supported; give the "
      "template the text as it shall stand there");
}

constexpr std::array kFilters = {
    Builtin{"capitalize", "", changed<capitalized>},
    Builtin{"center", "width?", center},
    Builtin{"e", "", escape},
    Builtin{"escape", "", escape},
    Builtin{"forceescape", "", force_escape},
    Builtin{"format", "*", format},
    Builtin{"indent", "width? first? blank?", indent},
    Builtin{"join", "d? attribute?", join},
    Builtin{"lower", "", changed<lower_case_of>},
    Builtin{"pprint", "*", refuse},
    Builtin{"random", "*", refuse},
    Builtin{"replace", "old new count?", replace},
    Builtin{"safe", "", safe},
    Builtin{"string", "", string},
    Builtin{"striptags", "", changed<without_tags>},
    Builtin{"title", "", changed<titled>},
    Builtin{"tojson", "ensure_ascii? indent? separators? sort_keys?", tojson},
    Builtin{"trim", "chars?", trim},
    Builtin{"truncate", "length? killwords? end? leeway?", truncate},
    Builtin{"upper", "", changed<upper_case>},
    Builtin{"urlencode", "", urlencode},
    Builtin{"urlize", "*", refuse},
    Builtin{"wordcount", "", wordcount},
    Builtin{"wordwrap", "*", refuse},
    Builtin{"xmlattr", "autospace?", xmlattr},
};

}  // namespace

std::span<const Builtin> text_filters() { return kFilters; }

}  // namespace lathe::jinja
