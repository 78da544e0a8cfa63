// The methods of texts.
#include <unicode/uchar.h>

#include <algorithm>
#include <array>

#include "lathe/text/jinja/characters.h"
#include "lathe/text/jinja/methods.h"
#include "lathe/text/jinja/runtime.h"
#include "lathe/text/jinja/text_format.h"

namespace lathe::jinja {
namespace {

std::string_view self_of(const Invocation& call) {
  call.heap.charge(call.self.text().size());
  return call.self.text();
}

// A text of the same kind: markup stays markup.
Value like_self(Invocation& call, std::string text) {
  return call.heap.text(std::move(text), call.self.is_safe_text());
}
Value like_self(Invocation& call, std::string_view text) {
  return like_self(call, std::string(text));
}

template <std::string (*change)(std::string_view)>
Value changed(Invocation& call) {
  return like_self(call, change(self_of(call)));
}

// The characters that strip() and its kin take away.
Drop dropped(const Invocation& call) {
  if (!call.has(0) || call.at(0).is_none()) return is_space;
  std::vector<char32_t> set = characters_of(call.text(0, "the characters to strip"));
  return [set = std::move(set)](char32_t c) { return std::ranges::find(set, c) != set.end(); };
}

Value strip(Invocation& call) {
  const Drop drop = dropped(call);
  return like_self(call, strip_right(strip_left(self_of(call), drop), drop));
}
Value lstrip(Invocation& call) { return like_self(call, strip_left(self_of(call), dropped(call))); }
Value rstrip(Invocation& call) {
  return like_self(call, strip_right(self_of(call), dropped(call)));
}

Value list_of(Invocation& call, const std::vector<std::string_view>& parts) {
  std::vector<Value> out;
  for (const std::string_view part : parts) out.push_back(like_self(call, part));
  return call.heap.list(std::move(out));
}

// By white space, at most `limit` times if it is not negative.
std::vector<std::string_view> words_of(std::string_view text, int64_t limit) {
  std::vector<std::string_view> words;
  const auto not_space = [](char32_t c) { return !is_space(c); };
  for (text = strip_left(text); !text.empty(); text = strip_left(text)) {
    if (limit >= 0 && static_cast<int64_t>(words.size()) == limit) {
      words.push_back(text);
      break;
    }
    const std::string_view rest = strip_left(text, not_space);
    words.push_back(text.substr(0, text.size() - rest.size()));
    text = rest;
  }
  return words;
}

std::vector<std::string_view> words_from_right(std::string_view text, int64_t limit) {
  std::vector<std::string_view> words;
  const auto not_space = [](char32_t c) { return !is_space(c); };
  for (text = strip_right(text); !text.empty(); text = strip_right(text)) {
    if (limit >= 0 && static_cast<int64_t>(words.size()) == limit) {
      words.push_back(text);
      break;
    }
    const std::string_view rest = strip_right(text, not_space);
    words.push_back(text.substr(rest.size()));
    text = rest;
  }
  std::ranges::reverse(words);
  return words;
}

std::vector<std::string_view> parts_of(std::string_view text, std::string_view separator,
                                       int64_t limit, bool from_right) {
  if (separator.empty()) fault("the separator of a split is empty; give one, or none at all");
  std::vector<std::string_view> parts;
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    const size_t at = from_right ? text.rfind(separator) : text.find(separator);
    if (at == std::string_view::npos) break;
    parts.push_back(from_right ? text.substr(at + separator.size()) : text.substr(0, at));
    text = from_right ? text.substr(0, at) : text.substr(at + separator.size());
  }
  parts.push_back(text);
  if (from_right) std::ranges::reverse(parts);
  return parts;
}

Value split_at(Invocation& call, bool from_right) {
  const std::string_view text = self_of(call);
  const int64_t limit = call.integer(1, -1, "how often to split");
  if (!call.has(0) || call.at(0).is_none())
    return list_of(call, from_right ? words_from_right(text, limit) : words_of(text, limit));
  return list_of(call, parts_of(text, call.text(0, "the separator"), limit, from_right));
}
Value split(Invocation& call) { return split_at(call, false); }
Value rsplit(Invocation& call) { return split_at(call, true); }

Value splitlines(Invocation& call) {
  return list_of(call, lines_of(self_of(call), call.truth(0, false)));
}

Value partition_at(Invocation& call, bool from_right) {
  const std::string_view text = self_of(call), separator = call.text(0, "the separator");
  if (separator.empty()) fault("the separator of a partition is empty");
  const size_t at = from_right ? text.rfind(separator) : text.find(separator);
  const auto value = [&](std::string_view part) { return like_self(call, part); };
  if (at == std::string_view::npos)
    return from_right ? call.heap.tuple({value(""), value(""), value(text)})
                      : call.heap.tuple({value(text), value(""), value("")});
  return call.heap.tuple(
      {value(text.substr(0, at)), value(separator), value(text.substr(at + separator.size()))});
}
Value partition(Invocation& call) { return partition_at(call, false); }
Value rpartition(Invocation& call) { return partition_at(call, true); }

Value replace(Invocation& call) {
  return like_self(
      call,
      replaced(self_of(call), call.text(0, "what to replace"), call.text(1, "the replacement"),
               call.integer(2, -1, "how often to replace"), call.heap.limits().output));
}

// The part of the text that begin and end, both optional, name; -1 as its first byte if there is none.
struct Window {
  std::string_view text;
  size_t begin = 0;
  bool exists = true;
};
Window window(Invocation& call, size_t first) {
  const Int count = length(call.self);
  const auto place = [&](size_t i, Int fallback) {
    if (!call.has(i) || call.at(i).is_none()) return fallback;
    const Int at = need_int(call.at(i), "a place in a text");
    return std::max(at < 0 ? at + count : at, Int{0});
  };
  const Int begin = place(first, 0), end = std::min(place(first + 1, count), count);
  if (begin > end) return {{}, 0, false};
  const std::string_view text = self_of(call);
  const size_t from = byte_of(text, static_cast<size_t>(begin));
  const size_t size = byte_of(text.substr(from), static_cast<size_t>(end - begin));
  return {text.substr(from, size), from, true};
}

Value has_affix(Invocation& call, bool at_end) {
  const Window w = window(call, 1);
  const auto fits = [&](const Value& affix) {
    const std::string_view text = need_text(affix, "what a text begins or ends with");
    return w.exists && (at_end ? w.text.ends_with(text) : w.text.starts_with(text));
  };
  const Sequence* several = call.at(0).get_if<Sequence>();
  if (several == nullptr || !several->is_tuple()) return fits(call.at(0));
  return std::ranges::any_of(several->items, fits);
}
Value startswith(Invocation& call) { return has_affix(call, false); }
Value endswith(Invocation& call) { return has_affix(call, true); }

Int place_of(Invocation& call, bool from_right) {
  const Window w = window(call, 1);
  const std::string_view part = call.text(0, "what to look for");
  const size_t at = !w.exists    ? std::string_view::npos
                    : from_right ? w.text.rfind(part)
                                 : w.text.find(part);
  if (at == std::string_view::npos) return -1;
  return count_characters(call.self.text().substr(0, w.begin + at));
}
Value find(Invocation& call) { return place_of(call, false); }
Value rfind(Invocation& call) { return place_of(call, true); }

Value found(Int place) {
  if (place < 0) fault("the text does not hold what was looked for");
  return place;
}
Value index(Invocation& call) { return found(place_of(call, false)); }
Value rindex(Invocation& call) { return found(place_of(call, true)); }

Value count(Invocation& call) {
  const Window w = window(call, 1);
  const std::string_view part = call.text(0, "what to count");
  if (!w.exists) return 0;
  if (part.empty()) return count_characters(w.text) + 1;
  int64_t n = 0;
  for (size_t at = 0; (at = w.text.find(part, at)) != std::string_view::npos; at += part.size())
    ++n;
  return n;
}

Value removeprefix(Invocation& call) {
  std::string_view text = self_of(call);
  const std::string_view prefix = call.text(0, "the prefix");
  if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  return like_self(call, text);
}
Value removesuffix(Invocation& call) {
  std::string_view text = self_of(call);
  const std::string_view suffix = call.text(0, "the suffix");
  if (text.ends_with(suffix)) text.remove_suffix(suffix.size());
  return like_self(call, text);
}

Value join(Invocation& call) {
  std::string out;
  bool first = true;
  for (const Value& item : elements(call.heap, call.at(0))) {
    if (!std::exchange(first, false)) out += call.self.text();
    out += need_text(item, "what is joined");
    call.heap.require_room(out.size());
  }
  return like_self(call, std::move(out));
}

Value format(Invocation& call) {
  return like_self(call, brace_format(call.heap, self_of(call), call.arguments));
}

std::string padding(Invocation& call, int64_t count) {
  if (count <= 0) return {};
  const std::string_view fill = call.has(1) ? call.text(1, "the filling") : " ";
  if (count_characters(fill) != 1) fault("the filling is '{}', expected one character", fill);
  call.heap.require_room(static_cast<size_t>(count) * fill.size());
  std::string out;
  for (int64_t i = 0; i < count; ++i) out += fill;
  return out;
}

int64_t missing_to_width(Invocation& call) {
  const int64_t width = need_int(call.at(0), "the width");
  return width > INT32_MAX ? width
                           : std::max<int64_t>(0, width - static_cast<int64_t>(length(call.self)));
}
Value ljust(Invocation& call) {
  return like_self(call, std::string(self_of(call)) + padding(call, missing_to_width(call)));
}
Value rjust(Invocation& call) {
  return like_self(call, padding(call, missing_to_width(call)) + std::string(self_of(call)));
}
// Python puts the odd blank to the left when the width is odd.
Value center(Invocation& call) {
  const int64_t all = missing_to_width(call);
  const int64_t left = all / 2 + (all & need_int(call.at(0), "the width") & 1);
  const std::string before = padding(call, left);
  return like_self(call, before + std::string(self_of(call)) + padding(call, all - left));
}
Value zfill(Invocation& call) {
  const std::string_view text = self_of(call);
  const int64_t zeros = missing_to_width(call);
  call.heap.require_room(static_cast<size_t>(zeros));
  const size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  return like_self(call, std::string(text.substr(0, sign)) +
                             std::string(static_cast<size_t>(zeros), '0') +
                             std::string(text.substr(sign)));
}

Value expandtabs(Invocation& call) {
  const int64_t width = call.integer(0, 8, "the width of a tab");
  std::string out;
  int64_t column = 0;
  for (const char32_t c : characters_of(self_of(call))) {
    if (c == '\t' && width > 0) {
      call.heap.require_room(static_cast<size_t>(width));
      out.append(static_cast<size_t>(width - column % width), ' ');
      column = 0;
    } else if (c != '\t') {
      append_utf8(out, c);
      column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
    call.heap.require_room(out.size());
  }
  return like_self(call, std::move(out));
}

template <bool (*is_one)(UChar32), bool empty = false>
Value all_are(Invocation& call) {
  const std::vector<char32_t> characters = characters_of(self_of(call));
  if (characters.empty()) return empty;
  return std::ranges::all_of(characters,
                             [](char32_t c) { return is_one(static_cast<UChar32>(c)); });
}

bool is_letter(UChar32 c) { return u_isalpha(c); }
bool is_decimal(UChar32 c) { return u_charType(c) == U_DECIMAL_DIGIT_NUMBER; }
bool is_digit(UChar32 c) {
  const auto type = u_getIntPropertyValue(c, UCHAR_NUMERIC_TYPE);
  return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}
bool is_numeric(UChar32 c) { return u_getIntPropertyValue(c, UCHAR_NUMERIC_TYPE) != U_NT_NONE; }
bool is_letter_or_number(UChar32 c) { return is_letter(c) || is_numeric(c); }
bool is_blank(UChar32 c) { return is_space(static_cast<char32_t>(c)); }
bool is_seven_bits(UChar32 c) { return c < 0x80; }
bool prints(UChar32 c) { return is_printable(static_cast<char32_t>(c)); }

Value islower(Invocation& call) { return has_case(self_of(call), false); }
Value isupper(Invocation& call) { return has_case(self_of(call), true); }
Value istitle(Invocation& call) {
  const std::string_view text = self_of(call);
  return title_case(text) == text && lower_case_of(text) != upper_case(text);
}
Value isidentifier(Invocation& call) {
  const std::vector<char32_t> all = characters_of(self_of(call));
  if (all.empty()) return false;
  for (size_t i = 0; i < all.size(); ++i)
    if (!(i == 0 && all[i] == '_') &&
        !u_hasBinaryProperty(static_cast<UChar32>(all[i]),
                             i == 0 ? UCHAR_XID_START : UCHAR_XID_CONTINUE))
      return false;
  return true;
}

constexpr std::array kTextMethods = {
    Builtin{"capitalize", "", changed<capitalized>},
    Builtin{"casefold", "", changed<case_folded>},
    Builtin{"center", "width fillchar?", center},
    Builtin{"count", "sub start? end?", count},
    Builtin{"endswith", "suffix start? end?", endswith},
    Builtin{"expandtabs", "tabsize?", expandtabs},
    Builtin{"find", "sub start? end?", find},
    Builtin{"format", "*", format},
    Builtin{"index", "sub start? end?", index},
    Builtin{"isalnum", "", all_are<is_letter_or_number>},
    Builtin{"isalpha", "", all_are<is_letter>},
    Builtin{"isascii", "", all_are<is_seven_bits, true>},
    Builtin{"isdecimal", "", all_are<is_decimal>},
    Builtin{"isdigit", "", all_are<is_digit>},
    Builtin{"isidentifier", "", isidentifier},
    Builtin{"islower", "", islower},
    Builtin{"isnumeric", "", all_are<is_numeric>},
    Builtin{"isprintable", "", all_are<prints, true>},
    Builtin{"isspace", "", all_are<is_blank>},
    Builtin{"istitle", "", istitle},
    Builtin{"isupper", "", isupper},
    Builtin{"join", "iterable", join},
    Builtin{"ljust", "width fillchar?", ljust},
    Builtin{"lower", "", changed<lower_case_of>},
    Builtin{"lstrip", "chars?", lstrip},
    Builtin{"partition", "sep", partition},
    Builtin{"removeprefix", "prefix", removeprefix},
    Builtin{"removesuffix", "suffix", removesuffix},
    Builtin{"replace", "old new count?", replace},
    Builtin{"rfind", "sub start? end?", rfind},
    Builtin{"rindex", "sub start? end?", rindex},
    Builtin{"rjust", "width fillchar?", rjust},
    Builtin{"rpartition", "sep", rpartition},
    Builtin{"rsplit", "sep? maxsplit?", rsplit},
    Builtin{"rstrip", "chars?", rstrip},
    Builtin{"split", "sep? maxsplit?", split},
    Builtin{"splitlines", "keepends?", splitlines},
    Builtin{"startswith", "prefix start? end?", startswith},
    Builtin{"strip", "chars?", strip},
    Builtin{"swapcase", "", changed<swapped_case>},
    Builtin{"title", "", changed<title_case>},
    Builtin{"upper", "", changed<upper_case>},
    Builtin{"zfill", "width", zfill},
};

}  // namespace

const Builtin* find_text_method(std::string_view name) {
  const auto found = std::ranges::find(kTextMethods, name, &Builtin::name);
  return found == kTextMethods.end() ? nullptr : &*found;
}

}  // namespace lathe::jinja
