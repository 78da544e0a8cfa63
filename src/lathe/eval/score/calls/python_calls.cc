#include "lathe/eval/score/calls/python_calls.h"

#include <algorithm>

#include "lathe/base/utf8.h"
#include "lathe/config/literal.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// What ends the reading of a text that is no call. Caught below.
struct NoCall {};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_name(char c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
}

// Recursive descent over the few forms that calls have.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::vector<WrittenCall> calls() {
    std::vector<WrittenCall> all;
    if (take('[')) {
      read_list(']', [&] { all.push_back(call()); });
    } else {
      do all.push_back(call());
      while (take(','));
    }
    skip_blanks();
    if (at_ < text_.size()) throw NoCall();
    return all;
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string::npos)
      ++at_;
  }
  char next() {
    skip_blanks();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (next() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) throw NoCall();
  }

  // Behind the opening bracket; a comma may stand before the closing one.
  template <class F>
  void read_list(char close, F&& read_one) {
    while (!take(close)) {
      read_one();
      if (take(close)) return;
      expect(',');
    }
  }

  std::string name() {
    if (!begins_name(next())) throw NoCall();
    const size_t begin = at_;
    while (at_ < text_.size() && (begins_name(text_[at_]) || is_digit(text_[at_]))) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  std::string dotted_name() {
    std::string all = name();
    while (take('.')) all += "." + name();
    return all;
  }

  WrittenCall call() {
    WrittenCall made{.name = dotted_name(), .arguments = Json::object()};
    expect('(');
    read_list(')', [&] {
      const std::string key = name();
      expect('=');
      made.arguments[key] = value(0);
    });
    return made;
  }

  Json value(int depth) {
    constexpr int kMostDepth = 64;
    if (depth > kMostDepth) throw NoCall();
    const char c = next();
    if (c == '"' || c == '\'') return string(false);
    if (is_digit(c) || c == '-' || c == '+' || c == '.') return number();
    if (c == '[' || c == '(') return list(depth);
    if (c == '{') return dictionary(depth);
    return named_value();
  }

  Json list(int depth) {
    const char close = take('[') ? ']' : ')';
    if (close == ')') expect('(');
    Json all = Json::array();
    bool tuple = false;
    while (!take(close)) {
      all.push_back(value(depth + 1));
      if (take(close)) break;
      expect(',');
      tuple = true;
    }
    // A value alone in round brackets is itself.
    return close == ')' && all.size() == 1 && !tuple ? Json(all[0]) : all;
  }

  Json dictionary(int depth) {
    Json all = Json::object();
    expect('{');
    read_list('}', [&] {
      const Json key = value(depth + 1);
      expect(':');
      all[key.is_string() ? key.get<std::string>() : key.dump()] = value(depth + 1);
    });
    return all;
  }

  Json named_value() {
    const std::string word = dotted_name();
    if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\'')) {
      if (word == "r" || word == "R") return string(true);
      if (word == "u" || word == "b") return string(false);
      throw NoCall();
    }
    if (word == "True" || word == "true") return true;
    if (word == "False" || word == "false") return false;
    if (word == "None" || word == "null") return nullptr;
    return word;
  }

  Json number() {
    const size_t begin = at_;
    while (at_ < text_.size() && (is_digit(text_[at_]) ||
                                  std::string_view("+-._eE").find(text_[at_]) != std::string::npos))
      ++at_;
    std::string digits(text_.substr(begin, at_ - begin));
    std::erase(digits, '_');
    if (digits.starts_with('+')) digits.erase(0, 1);
    int64_t whole = 0;
    if (parse_number(digits, whole)) return whole;
    double real = 0;
    if (!parse_number(digits, real)) throw NoCall();
    return real;
  }

  std::string string(bool raw) {
    const char quote = next();
    const std::string three(3, quote);
    const bool is_long = text_.substr(at_).starts_with(three);
    const std::string end = is_long ? three : std::string(1, quote);
    at_ += end.size();
    std::string all;
    while (!text_.substr(at_).starts_with(end)) {
      if (at_ >= text_.size()) throw NoCall();
      if (text_[at_] == '\\' && !raw)
        all += escaped();
      else
        all += text_[at_++];
    }
    at_ += end.size();
    return all;
  }

  std::string escaped() {
    if (at_ + 1 >= text_.size()) throw NoCall();
    const char c = text_[at_ + 1];
    at_ += 2;
    constexpr std::string_view kFrom = "nrt0\\'\"", kTo("\n\r\t\0\\'\"", 7);
    if (const size_t i = kFrom.find(c); i != std::string::npos) return std::string(1, kTo[i]);
    if (c == '\n') return "";
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) return std::string("\\") + c;
    return code_point(digits);
  }

  std::string code_point(size_t digits) {
    if (at_ + digits > text_.size()) throw NoCall();
    char32_t code = 0;
    for (const char c : text_.substr(at_, digits)) {
      const size_t value = std::string_view("0123456789abcdef").find(static_cast<char>(c | 0x20));
      if (value == std::string::npos) throw NoCall();
      code = code * 16 + static_cast<char32_t>(value);
    }
    at_ += digits;
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) throw NoCall();
    std::string text;
    append_utf8(text, code);
    return text;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::optional<std::vector<WrittenCall>> python_calls_in(std::string_view text) {
  try {
    return Reader(text).calls();
  } catch (const NoCall&) {
    return std::nullopt;
  }
}

}  // namespace lathe
