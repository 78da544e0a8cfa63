// JSON, JSON lines and CSV: values with the names of their keys or columns.
#include <algorithm>
#include <functional>
#include <optional>

#include "lathe/base/utf8.h"
#include "lathe/documents/read/readers.h"

namespace lathe {
namespace {

using Kind = Stretch::Kind;

// A text of JSON without its escapes; what is broken stays as it is.
std::string unescaped(std::string_view raw) {
  const auto code_at = [&](size_t at) -> std::optional<char32_t> {
    if (at + 4 > raw.size()) return std::nullopt;
    char32_t value = 0;
    for (const char c : raw.substr(at, 4)) {
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return std::nullopt;
      value = value * 16 + static_cast<char32_t>(digit);
    }
    return value;
  };
  std::string out;
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      out += raw[i];
      continue;
    }
    const char c = raw[++i];
    if (c != 'u') {
      out += c == 'n' || c == 't' || c == 'r' || c == 'b' || c == 'f' ? ' ' : c;
      continue;
    }
    std::optional<char32_t> code = code_at(i + 1);
    if (!code) continue;
    i += 4;
    if (*code >= 0xD800 && *code < 0xDC00 && raw.substr(i + 1, 2) == "\\u") {
      if (const auto low = code_at(i + 3); low && *low >= 0xDC00 && *low < 0xE000) {
        code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
        i += 6;
      }
    }
    append_utf8(out, *code >= 0xD800 && *code < 0xE000 ? 0xFFFD : *code);
  }
  return out;
}

// Calls on_value(key, value, begin, end) for the texts and numbers in order, with the bytes of the value. Nothing is kept
// of what encloses them, so that no depth is too great.
class JsonValues {
 public:
  using OnValue = std::function<void(const std::string&, std::string, int64_t, int64_t)>;
  JsonValues(std::string_view text, OnValue on_value)
      : text_(text), on_value_(std::move(on_value)) {}

  void scan() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"')
        take_text();
      else if (c == '-' || (c >= '0' && c <= '9'))
        take_number();
      else
        ++at_;
    }
  }

 private:
  void take_text() {
    const size_t begin = ++at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    const size_t end = std::min(at_, text_.size());
    at_ = end + 1;
    std::string said = unescaped(text_.substr(begin, end - begin));
    const size_t next = text_.find_first_not_of(" \t\r\n", std::min(at_, text_.size()));
    if (next != std::string_view::npos && text_[next] == ':') {
      key_ = std::move(said);
      at_ = next + 1;
    } else {
      on_value_(key_, std::move(said), static_cast<int64_t>(begin), static_cast<int64_t>(end));
    }
  }

  void take_number() {
    const size_t begin = at_;
    at_ = std::min(text_.find_first_not_of("+-.0123456789eE", at_), text_.size());
    on_value_(key_, std::string(text_.substr(begin, at_ - begin)), static_cast<int64_t>(begin),
              static_cast<int64_t>(at_));
  }

  std::string_view text_;
  OnValue on_value_;
  size_t at_ = 0;
  std::string key_;
};

std::string named(const std::string& name, const std::string& value) {
  return name.empty() ? value : name + ": " + value;
}

// The cells of a row that begins at `at`, which becomes the beginning of the next one.
std::vector<std::string> take_row(std::string_view text, char comma, size_t& at) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c != '"')
        cells.back() += c;
      else if (at + 1 < text.size() && text[at + 1] == '"')
        cells.back() += text[++at];
      else
        quoted = false;
    } else if (c == '"' && cells.back().empty()) {
      quoted = true;
    } else if (c == comma) {
      cells.emplace_back();
    } else if (c == '\n') {
      ++at;
      break;
    } else if (c != '\r') {
      cells.back() += c;
    }
  }
  return cells;
}

}  // namespace

Document read_json(std::string_view text) {
  Document out;
  JsonValues(text, [&](const std::string& key, std::string value, int64_t begin, int64_t end) {
    if (without_blanks(value).empty()) return;
    out.stretches.push_back(
        {.kind = Kind::kRow, .begin = begin, .end = end, .words = named(key, value)});
  }).scan();
  return out;
}

Document read_json_lines(std::string_view text) {
  Document out;
  for (const Line& line : lines_of(text)) {
    std::string words;
    JsonValues(in(text, line), [&](const std::string& key, const std::string& value, int64_t,
                                   int64_t) {
      if (!words.empty()) words += "; ";
      words += named(key, value);
    }).scan();
    if (!words.empty())
      out.stretches.push_back(
          {.kind = Kind::kRow, .begin = line.begin, .end = line.end, .words = std::move(words)});
  }
  return out;
}

Document read_csv(std::string_view text) {
  const std::string_view first = text.substr(0, text.find('\n'));
  const auto often = [&](char c) { return std::ranges::count(first, c); };
  const char comma = often('\t') > often(',') ? '\t' : often(';') > often(',') ? ';' : ',';
  Document out;
  size_t at = 0;
  const std::vector<std::string> names = take_row(text, comma, at);
  while (at < text.size()) {
    const size_t begin = at;
    const std::vector<std::string> cells = take_row(text, comma, at);
    std::string words;
    for (size_t i = 0; i < cells.size(); ++i) {
      if (without_blanks(cells[i]).empty()) continue;
      if (!words.empty()) words += "; ";
      words += named(i < names.size() ? names[i] : "", cells[i]);
    }
    const std::string_view row = without_blanks(text.substr(begin, at - begin));
    if (words.empty()) continue;
    const int64_t from = row.data() - text.data();
    out.stretches.push_back({.kind = Kind::kRow,
                             .begin = from,
                             .end = from + static_cast<int64_t>(row.size()),
                             .words = std::move(words)});
  }
  return out;
}

}  // namespace lathe
