#include "lathe/text/jinja/characters.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>

namespace lathe::jinja {
namespace {

template <class F>
void for_each_character(std::string_view text, F&& f) {
  const uint8_t* p = as_bytes(text);
  const uint8_t* const end = p + text.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    f(c.value);
    p += c.size;
  }
}

// What ICU makes of a text; `change` gets it as UTF-16.
template <class F>
std::string changed(std::string_view text, F&& change) {
  icu::UnicodeString wide =
      icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())});
  change(wide);
  std::string out;
  wide.toUTF8String(out);
  return out;
}

std::string title_of(char32_t c) {
  return changed(text_of({c}), [](icu::UnicodeString& s) {
    s.toTitle(nullptr, icu::Locale::getRoot(), U_TITLECASE_NO_LOWERCASE);
  });
}

}  // namespace

bool is_ascii(std::string_view text) {
  return skip_ascii(as_bytes(text), as_bytes(text) + text.size()) == as_bytes(text) + text.size();
}

bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F);
  return c == 0x85 || (c < 0x110000 && u_charType(static_cast<UChar32>(c)) == U_SPACE_SEPARATOR) ||
         c == 0x2028 || c == 0x2029;
}

bool ends_line(char32_t c) {
  return (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

bool is_printable(char32_t c) {
  if (c < 0x80) return c >= 0x20 && c != 0x7F;
  switch (u_charType(static_cast<UChar32>(c))) {
    case U_UNASSIGNED:
    case U_SPACE_SEPARATOR:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
    case U_PRIVATE_USE_CHAR:
    case U_SURROGATE:
      return false;
    default:
      return true;
  }
}

bool is_word_character(char32_t c) {
  const auto u = static_cast<UChar32>(c);
  return u_isalpha(u) || u_getIntPropertyValue(u, UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

bool has_case(std::string_view text, bool upper) {
  bool any = false;
  for (const char32_t c : characters_of(text)) {
    const auto u = static_cast<UChar32>(c);
    if (upper ? u_isULowercase(u) || u_istitle(u) : u_isUUppercase(u) || u_istitle(u)) return false;
    any = any || (upper ? u_isUUppercase(u) : u_isULowercase(u));
  }
  return any;
}

std::vector<char32_t> characters_of(std::string_view text) {
  std::vector<char32_t> out;
  out.reserve(text.size());
  for_each_character(text, [&](char32_t c) { out.push_back(c); });
  return out;
}

std::string text_of(const std::vector<char32_t>& characters) {
  std::string out;
  for (const char32_t c : characters) append_utf8(out, c);
  return out;
}

size_t byte_of(std::string_view text, size_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index)
    at += decode_utf8(as_bytes(text) + at, as_bytes(text) + text.size()).size;
  return at;
}

std::string upper_case(std::string_view text) {
  return changed(text, [](icu::UnicodeString& s) { s.toUpper(icu::Locale::getRoot()); });
}

std::string lower_case_of(std::string_view text) {
  return changed(text, [](icu::UnicodeString& s) { s.toLower(icu::Locale::getRoot()); });
}

std::string case_folded(std::string_view text) {
  return changed(text, [](icu::UnicodeString& s) { s.foldCase(); });
}

std::string capitalized(std::string_view text) {
  if (text.empty()) return {};
  const size_t first = byte_of(text, 1);
  const std::vector<char32_t> head = characters_of(text.substr(0, first));
  return title_of(head[0]) + lower_case_of(text.substr(first));
}

std::string title_case(std::string_view text) {
  std::string out;
  bool inside = false;  // of a word, behind its first letter
  for_each_character(text, [&](char32_t c) {
    const bool cased = u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_CASED);
    out += !cased ? text_of({c}) : inside ? lower_case_of(text_of({c})) : title_of(c);
    inside = cased;
  });
  return out;
}

std::string swapped_case(std::string_view text) {
  std::string out;
  for_each_character(text, [&](char32_t c) {
    const std::string one = text_of({c});
    out += u_isUUppercase(static_cast<UChar32>(c))   ? lower_case_of(one)
           : u_isULowercase(static_cast<UChar32>(c)) ? upper_case(one)
                                                     : one;
  });
  return out;
}

std::string_view strip_left(std::string_view text, const Drop& drop) {
  while (!text.empty()) {
    const CodePoint c = decode_utf8(as_bytes(text), as_bytes(text) + text.size());
    if (!drop(c.value)) break;
    text.remove_prefix(c.size);
  }
  return text;
}

std::string_view strip_right(std::string_view text, const Drop& drop) {
  while (!text.empty()) {
    const CodePoint c = decode_utf8_before(as_bytes(text), as_bytes(text) + text.size());
    if (!drop(c.value)) break;
    text.remove_suffix(c.size);
  }
  return text;
}

std::vector<std::string_view> lines_of(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(as_bytes(text) + at, as_bytes(text) + text.size());
    size_t next = at + c.size;
    if (ends_line(c.value)) {
      if (c.value == '\r' && next < text.size() && text[next] == '\n') ++next;
      lines.push_back(text.substr(begin, (keep_ends ? next : at) - begin));
      begin = next;
    }
    at = next;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to,
                     int64_t count, size_t most) {
  std::string out;
  size_t at = 0;
  while (count != 0 && at <= text.size() && out.size() <= most) {
    const size_t found = text.find(from, at);
    if (found == std::string_view::npos) break;
    // An empty `from` stands before every character and at the end.
    const size_t size = from.empty() ? byte_of(text.substr(at), 1) : 0;
    out.append(text.substr(at, found - at)).append(to);
    out.append(text.substr(found, size));
    at = found + (from.empty() ? size : from.size());
    if (count > 0) --count;
    if (from.empty() && size == 0) return out;
  }
  return out.append(text.substr(std::min(at, text.size())));
}

}  // namespace lathe::jinja
