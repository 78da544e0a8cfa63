#include "lathe/constraint/json_forms.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "lathe/base/utf8.h"

namespace lathe::constraint {
namespace {

// Limits on what a model could write without end.
constexpr uint32_t kIndent = 32;  // blanks behind a line break
constexpr uint32_t kWholeDigits = 24, kFractionDigits = 24;

const CharSet& control_characters() {
  static const CharSet set = {{0, 0x1F}};
  return set;
}
// What may not stand in a string as itself.
const CharSet& escaped_characters() {
  static const CharSet set = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};
  return set;
}
const CharSet& not_ascii() {
  static const CharSet set = {{0x80, 0x10FFFF}};
  return set;
}

constexpr std::array<std::pair<char, char32_t>, 7> kShortEscapes = {
    {{'"', '"'}, {'\\', '\\'}, {'b', '\b'}, {'f', '\f'}, {'n', '\n'}, {'r', '\r'}, {'t', '\t'}}};

}  // namespace

JsonForms::JsonForms(GrammarBuilder& builder, const SchemaOptions& options) : b_(builder) {
  const ExprId space = b_.text(" ");
  switch (options.blanks) {
    case JsonBlanks::kNone:
      blanks_ = b_.nothing();
      separator_ = b_.text(",");
      key_separator_ = b_.text(":");
      return;
    case JsonBlanks::kOneSpace:
      blanks_ = b_.nothing();
      separator_ = b_.text(", ");
      key_separator_ = b_.text(": ");
      return;
    case JsonBlanks::kFree:
      break;
  }
  const ExprId indent = b_.repeat(b_.one_of({{'\t', '\t'}, {' ', ' '}}), 0, kIndent);
  const RuleId rule = b_.declare("blanks");
  b_.define(rule, b_.optional(b_.choice({space, b_.sequence({b_.text("\n"), indent})})));
  blanks_ = b_.use(rule);
  separator_ = b_.sequence({b_.text(","), blanks_});
  key_separator_ = b_.sequence({b_.text(":"), blanks_});
}

ExprId JsonForms::hex(uint32_t low, uint32_t high) {
  std::vector<ByteRanges> sequences;
  const auto add_letters = [&](const ByteRanges& digits) {
    // A range of digits is up to three ranges of bytes: 0-9, A-F, a-f.
    std::vector<ByteRanges> all = {{}};
    for (const ByteRange& d : digits) {
      std::vector<ByteRange> forms;
      if (d.low < 10)
        forms.push_back({static_cast<uint8_t>('0' + d.low),
                         static_cast<uint8_t>('0' + std::min<int>(d.high, 9))});
      for (const char first : {'A', 'a'})
        if (d.high >= 10)
          forms.push_back({static_cast<uint8_t>(first + std::max<int>(d.low, 10) - 10),
                           static_cast<uint8_t>(first + d.high - 10)});
      std::vector<ByteRanges> longer;
      for (const ByteRanges& before : all)
        for (const ByteRange& form : forms) {
          longer.push_back(before);
          longer.back().push_back(form);
        }
      all = std::move(longer);
    }
    sequences.insert(sequences.end(), all.begin(), all.end());
  };
  for (const ByteRanges& digits : digit_sequences(low, high, 4, 16)) add_letters(digits);
  return b_.bytes(std::move(sequences));
}

void JsonForms::add_escapes(const CharSet& set, std::vector<ExprId>& out) {
  const ExprId mark = b_.text("\\u");
  for (const CodeRange& r : set.ranges()) {
    if (r.low < 0x10000)
      out.push_back(b_.sequence({mark, hex(r.low, std::min<uint32_t>(r.high, 0xFFFF))}));
    if (r.high < 0x10000) continue;
    // Pairs of a high and a low surrogate: the first and last high one may have a part of the low ones.
    uint32_t low = std::max<uint32_t>(r.low, 0x10000) - 0x10000;
    const uint32_t high = r.high - 0x10000;
    while (low <= high) {
      const bool whole = (low & 0x3FF) == 0 && high >= (low | 0x3FF);
      uint32_t last = std::min<uint32_t>(low | 0x3FF, high);
      if (whole) last = (high + 1) / 0x400 * 0x400 - 1;
      out.push_back(
          b_.sequence({mark, hex(0xD800 + (low >> 10), 0xD800 + (last >> 10)), mark,
                       hex(0xDC00 + (whole ? 0 : low & 0x3FF), 0xDC00 + (last & 0x3FF))}));
      low = last + 1;
    }
  }
}

// A character that needs no escape, one that does, one that may have one. The last two are mostly
// whole sets, which are rules of their own.
ExprId JsonForms::plain_character(const CharSet& set) {
  std::vector<ExprId> forms;
  const CharSet plain = set.without(escaped_characters()).without(not_ascii());
  if (!plain.empty()) forms.push_back(b_.one_of(plain));
  add_part(set, escaped_characters(), escaped_rule_, forms);
  add_part(set, not_ascii(), foreign_rule_, forms);
  return b_.choice(std::move(forms));
}

void JsonForms::add_part(const CharSet& set, const CharSet& part, std::optional<RuleId>& rule,
                         std::vector<ExprId>& out) {
  const CharSet shared = set.with(part);
  if (shared.empty()) return;
  if (shared.ranges() != part.ranges()) return add_forms(shared, out);
  if (!rule) {
    rule = b_.declare("a character with an escape");
    std::vector<ExprId> forms;
    add_forms(part, forms);
    b_.define(*rule, b_.choice(std::move(forms)));
  }
  out.push_back(b_.use(*rule));
}

// Of characters that need or may have an escape.
void JsonForms::add_forms(const CharSet& set, std::vector<ExprId>& out) {
  const CharSet foreign = set.with(not_ascii());
  if (!foreign.empty()) out.push_back(b_.one_of(foreign));
  for (const auto& [letter, c] : kShortEscapes)
    if (set.has(c)) out.push_back(b_.text(std::string{'\\', letter}));
  add_escapes(set.with(control_characters()), out);
  add_escapes(foreign, out);
}

ExprId JsonForms::any_character() {
  if (any_character_) return *any_character_;
  std::vector<ExprId> forms = {b_.one_of(escaped_characters().complement())};
  for (const auto& escape : kShortEscapes)
    forms.push_back(b_.text(std::string{'\\', escape.first}));
  forms.push_back(b_.text("\\/"));
  add_escapes(CharSet::all(), forms);
  any_character_ = b_.choice(std::move(forms));
  return *any_character_;
}

ExprId JsonForms::quoted(ExprId content) {
  const ExprId quote = b_.text("\"");
  return b_.sequence({quote, content, quote});
}

ExprId JsonForms::string(uint32_t min, uint32_t max) {
  if (min > 0 || max != kUnbounded) return quoted(b_.repeat(any_character(), min, max));
  if (!string_) {
    const RuleId rule = b_.declare("a string");
    b_.define(rule, quoted(b_.repeat(any_character(), 0, kUnbounded)));
    string_ = b_.use(rule);
  }
  return *string_;
}

ExprId JsonForms::given_string(std::string_view text) {
  std::vector<ExprId> parts;
  std::string run;  // what has one form
  const auto flush = [&] {
    if (!run.empty()) parts.push_back(b_.text(std::exchange(run, {})));
  };
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(as_bytes(text) + at, as_bytes(text) + text.size());
    if (c.value < 0x80 && !escaped_characters().has(c.value)) {
      run += static_cast<char>(c.value);
    } else {
      flush();
      parts.push_back(plain_character({{c.value, c.value}}));
    }
    at += c.size;
  }
  flush();
  return quoted(b_.sequence(std::move(parts)));
}

// Behind the same beginning: what is left of each name. The closing quote may come unless a name ends
// here; a character that no name goes on with makes the key another one for good.
ExprId JsonForms::other_key_from(const std::vector<std::string_view>& rests) {
  std::map<std::string_view, std::vector<std::string_view>> by_first;
  bool ends = false;
  for (const std::string_view rest : rests) {
    if (rest.empty()) {
      ends = true;
      continue;
    }
    const size_t size = decode_utf8(as_bytes(rest), as_bytes(rest) + rest.size()).size;
    by_first[rest.substr(0, size)].push_back(rest.substr(size));
  }
  CharSet firsts;
  for (const auto& entry : by_first) firsts.add(CharSet::of(entry.first));
  if (!key_tail_) {
    const RuleId tail = b_.declare("the rest of a key");
    b_.define(tail, b_.sequence({b_.repeat(plain_character(CharSet::all()), 0, kUnbounded),
                                 b_.text("\"")}));
    key_tail_ = b_.use(tail);
  }
  std::vector<ExprId> ways = {b_.sequence({plain_character(firsts.complement()), *key_tail_})};
  if (!ends) ways.push_back(b_.text("\""));
  for (const auto& [first, left] : by_first)
    ways.push_back(b_.sequence({plain_character(CharSet::of(first)), other_key_from(left)}));
  return b_.choice(std::move(ways));
}

ExprId JsonForms::other_key(const std::vector<std::string>& names) {
  if (names.empty()) return string();
  return b_.sequence({b_.text("\""), other_key_from({names.begin(), names.end()})});
}

ExprId JsonForms::value(const nlohmann::ordered_json& json) {
  if (const auto text = only_text(json)) return b_.text(*text);
  if (json.is_string()) return given_string(json.get_ref<const std::string&>());
  const bool is_object = json.is_object();
  std::vector<ExprId> parts = {b_.text(is_object ? "{" : "["), blanks_};
  bool first = true;
  for (const auto& [key, item] : json.items()) {
    if (!std::exchange(first, false)) parts.push_back(separator_);
    if (is_object) {
      parts.push_back(given_string(key));
      parts.push_back(key_separator_);
    }
    parts.push_back(value(item));
  }
  if (!json.empty()) parts.push_back(blanks_);
  parts.push_back(b_.text(is_object ? "}" : "]"));
  return b_.sequence(std::move(parts));
}

std::optional<std::string> JsonForms::only_text(const nlohmann::ordered_json& json) {
  if (json.is_structured()) return std::nullopt;
  const bool one_form =
      !json.is_string() || std::ranges::all_of(json.get_ref<const std::string&>(), [](char c) {
        return static_cast<uint8_t>(c) < 0x80 &&
               !escaped_characters().has(static_cast<char32_t>(c));
      });
  return one_form ? std::optional(json.dump()) : std::nullopt;
}

ExprId JsonForms::integer() {
  if (!integer_) {
    const ExprId digit = b_.bytes({{{'0', '9'}}});
    const ExprId whole =
        b_.choice({b_.text("0"),
                   b_.sequence({b_.bytes({{{'1', '9'}}}), b_.repeat(digit, 0, kWholeDigits - 1)})});
    const RuleId rule = b_.declare("an integer");
    b_.define(rule, b_.sequence({b_.optional(b_.text("-")), whole}));
    integer_ = b_.use(rule);
  }
  return *integer_;
}

ExprId JsonForms::number() {
  if (!number_) {
    const ExprId digit = b_.bytes({{{'0', '9'}}});
    const ExprId fraction = b_.sequence({b_.text("."), b_.repeat(digit, 1, kFractionDigits)});
    const ExprId begin = b_.sequence({b_.bytes({{{'E', 'E'}}, {{'e', 'e'}}}),
                                      b_.optional(b_.bytes({{{'+', '+'}}, {{'-', '-'}}}))});
    // So that a double can hold the number: up to 279, and 307 behind one digit.
    const ExprId small =
        b_.choice({b_.repeat(digit, 1, 2), b_.bytes({{{'1', '2'}, {'0', '7'}, {'0', '9'}}})});
    const ExprId large =
        b_.bytes({{{'2', '2'}, {'8', '9'}, {'0', '9'}}, {{'3', '3'}, {'0', '0'}, {'0', '7'}}});
    const ExprId with_large =
        b_.sequence({b_.optional(b_.text("-")), digit, b_.optional(fraction), begin, large});
    const RuleId rule = b_.declare("a number");
    b_.define(rule, b_.choice({b_.sequence({integer(), b_.optional(fraction),
                                            b_.optional(b_.sequence({begin, small}))}),
                               with_large}));
    number_ = b_.use(rule);
  }
  return *number_;
}

}  // namespace lathe::constraint
