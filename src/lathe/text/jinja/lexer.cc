#include "lathe/text/jinja/lexer.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <array>
#include <optional>

#include "lathe/base/error.h"
#include "lathe/text/jinja/characters.h"

namespace lathe::jinja {
namespace {

template <class... Args>
[[noreturn]] void bad(size_t at, fmt::format_string<Args...> format, Args&&... args) {
  throw SyntaxFault{at, fmt::format(format, std::forward<Args>(args)...)};
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool begins_name(char32_t c) {
  return c == '_' ||
         (c < 0x110000 && u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_XID_START));
}

bool continues_name(char32_t c) {
  return c < 0x110000 && u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_XID_CONTINUE);
}

constexpr std::array<std::string_view, 26> kOperators = {
    "==", "!=", "<=", ">=", "//", "**", "+", "-", "*", "/", "%", "~", "<",
    ">",  "=",  ".",  ":",  "|",  ",",  ";", "(", ")", "[", "]", "{", "}"};

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {
    if (source_.ends_with('\n')) source_.remove_suffix(1);
  }

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const size_t tag = next_tag();
      if (tag == std::string_view::npos) {
        add_data(at_, source_.size());
        break;
      }
      read_tag(tag);
    }
    tokens_.push_back({TokenKind::kEnd, static_cast<uint32_t>(source_.size()), ""});
    return std::move(tokens_);
  }

 private:
  bool looking_at(std::string_view text) const { return source_.substr(at_).starts_with(text); }

  size_t next_tag() const {
    for (size_t i = at_; (i = source_.find('{', i)) != std::string_view::npos; ++i)
      if (i + 1 < source_.size() &&
          std::string_view("{%#").find(source_[i + 1]) != std::string_view::npos)
        return i;
    return std::string_view::npos;
  }

  void add(TokenKind kind, size_t at, std::string text = {}) {
    tokens_.push_back({kind, static_cast<uint32_t>(at), std::move(text)});
  }

  void add_data(size_t begin, size_t end) {
    if (end > begin) add(TokenKind::kData, begin, std::string(source_.substr(begin, end - begin)));
  }

  // The data before the tag at `tag`, without the white space that the tag takes along.
  void add_data_before(size_t tag, char sign, bool is_print) {
    std::string_view data = source_.substr(at_, tag - at_);
    if (sign == '-') {
      data = strip_right(data);
    } else if (sign != '+' && !is_print) {
      const size_t line = data.rfind('\n') + 1;  // 0 without one
      if ((line > 0 || at_line_begin_) && strip_right(data.substr(line)).empty())
        data = data.substr(0, line);
    }
    add_data(at_, at_ + data.size());
  }

  char sign_at(size_t at) const {
    return at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : 0;
  }

  void read_tag(size_t tag) {
    const char kind = source_[tag + 1];
    const char sign = sign_at(tag + 2);
    add_data_before(tag, sign, kind == '{');
    at_ = tag + 2 + (sign != 0 ? 1 : 0);
    if (kind == '#') return skip_comment(tag);
    if (kind == '%' && read_raw(tag)) return;
    add(kind == '%' ? TokenKind::kBlockBegin : TokenKind::kPrintBegin, tag);
    read_expression(tag, kind == '%');
  }

  void skip_white_space() { at_ += source_.size() - at_ - strip_left(source_.substr(at_)).size(); }

  // The end of a tag whose closing mark `close` begins at at_, maybe with a sign before it. Blanks
  // and line breaks that belong to it are passed. False if there is none here.
  bool pass_end(std::string_view close, bool trims, bool takes_plus) {
    const char sign = sign_at(at_);
    const size_t mark = at_ + (sign != 0 ? 1 : 0);
    if (!source_.substr(mark).starts_with(close) || (sign == '+' && !takes_plus)) return false;
    at_ = mark + close.size();
    if (sign == '-')
      skip_white_space();
    else if (sign == 0 && trims && looking_at("\n"))
      ++at_;
    at_line_begin_ = source_[at_ - 1] == '\n';
    return true;
  }

  void skip_comment(size_t tag) {
    for (; at_ < source_.size(); ++at_)
      if (pass_end("#}", true, true)) return;
    bad(tag, "the comment that begins here has no end; write #}} behind it");
  }

  bool pass_word(std::string_view word) {
    const size_t before = at_;
    skip_white_space();
    if (looking_at(word)) {
      at_ += word.size();
      skip_white_space();
      return true;
    }
    at_ = before;
    return false;
  }

  // {% raw %} … {% endraw %}: text as it stands.
  bool read_raw(size_t tag) {
    const size_t before = at_;
    if (!pass_word("raw") || !pass_end("%}", false, false)) {
      at_ = before;
      return false;
    }
    for (size_t i = at_; (i = source_.find("{%", i)) != std::string_view::npos; ++i) {
      const size_t begin = at_;
      const char sign = sign_at(i + 2);
      at_ = i + 2 + (sign != 0 ? 1 : 0);
      if (pass_word("endraw") && pass_end("%}", true, true)) {
        const size_t end = at_;
        at_ = begin;
        add_data_before(i, sign, false);
        at_ = end;
        return true;
      }
      at_ = begin;
    }
    bad(tag, "the raw block that begins here has no end; write {{% endraw %}} behind it");
  }

  void read_expression(size_t tag, bool is_block) {
    const std::string_view close = is_block ? "%}" : "}}";
    std::vector<std::pair<char, size_t>> open;  // brackets
    while (true) {
      skip_white_space();
      if (at_ >= source_.size())
        bad(tag, "the tag that begins here has no end; write {} behind it", close);
      const size_t begin = at_;
      if (open.empty() && pass_end(close, is_block, is_block)) {
        add(is_block ? TokenKind::kBlockEnd : TokenKind::kPrintEnd, begin);
        return;
      }
      read_token(open);
    }
  }

  void read_token(std::vector<std::pair<char, size_t>>& open) {
    const char c = source_[at_];
    if (is_digit(c)) return read_number();
    if (c == '\'' || c == '"') return read_string(c);
    if (begins_name(here())) return read_name();
    read_operator(open);
  }

  char32_t here() const {
    return at_ < source_.size()
               ? decode_utf8(as_bytes(source_) + at_, as_bytes(source_) + source_.size()).value
               : 0;
  }

  void read_name() {
    const size_t begin = at_;
    while (at_ < source_.size() && continues_name(here())) at_ += byte_of(source_.substr(at_), 1);
    add(TokenKind::kName, begin, std::string(source_.substr(begin, at_ - begin)));
  }

  void read_operator(std::vector<std::pair<char, size_t>>& open) {
    const auto* found =
        std::ranges::find_if(kOperators, [&](std::string_view op) { return looking_at(op); });
    if (found == kOperators.end())
      bad(at_, "'{}' has no meaning in a tag; remove it or put it into a text in quotes",
          source_.substr(at_, byte_of(source_.substr(at_), 1)));
    const char c = (*found)[0];
    constexpr std::string_view kOpen = "([{", kClose = ")]}";
    if (kOpen.find(c) != std::string_view::npos) open.emplace_back(c, at_);
    if (const size_t which = kClose.find(c); which != std::string_view::npos) {
      if (open.empty()) bad(at_, "'{}' closes nothing", c);
      if (open.back().first != kOpen[which])
        bad(at_, "'{}' does not close the '{}' before it", c, open.back().first);
      open.pop_back();
    }
    add(TokenKind::kOperator, at_, std::string(*found));
    at_ += found->size();
  }

  // Digits of a base, which single underscores may part; false if there are none.
  template <class Digit>
  bool pass_digits(std::string& out, Digit is_one, bool may_begin_parted = false) {
    size_t i = at_;
    bool any = false;
    while (i < source_.size()) {
      const size_t parted = (any || may_begin_parted) && source_[i] == '_' ? i + 1 : i;
      if (parted >= source_.size() || !is_one(source_[parted])) break;
      out += source_[parted];
      i = parted + 1;
      any = true;
    }
    at_ = i;
    return any;
  }

  bool pass_exponent(std::string& out) {
    const size_t before = at_;
    std::string part = "e";
    if (!looking_at("e") && !looking_at("E")) return false;
    ++at_;
    if (const char sign = sign_at(at_)) {
      part += sign;
      ++at_;
    }
    if (pass_digits(part, is_digit)) {
      out += part;
      return true;
    }
    at_ = before;
    return false;
  }

  void read_number() {
    const size_t begin = at_;
    if (read_based(begin)) return;
    std::string digits;
    pass_digits(digits, is_digit);
    bool is_float = false;
    if (begin > 0 && source_[begin - 1] == '.')  // list.0.1
      return add(TokenKind::kInteger, begin, digits);
    if (at_ + 1 < source_.size() && source_[at_] == '.' && is_digit(source_[at_ + 1])) {
      ++at_;
      digits += '.';
      pass_digits(digits, is_digit);
      is_float = true;
    }
    is_float |= pass_exponent(digits);
    add(is_float ? TokenKind::kFloat : TokenKind::kInteger, begin, digits);
  }

  // 0x1F, 0o17, 0b11: the token keeps the prefix.
  bool read_based(size_t begin) {
    if (source_[at_] != '0' || at_ + 1 >= source_.size()) return false;
    const char base = static_cast<char>(source_[at_ + 1] | 0x20);
    const std::string_view digits = base == 'x'   ? "0123456789abcdef"
                                    : base == 'o' ? "01234567"
                                    : base == 'b' ? "01"
                                                  : "";
    if (digits.empty()) return false;
    at_ += 2;
    std::string out{'0', base};
    const auto is_one = [&](char c) {
      return digits.find(is_digit(c) ? c : static_cast<char>(c | 0x20)) != std::string_view::npos;
    };
    if (!pass_digits(out, is_one, true)) bad(begin, "0{} has no digits behind it", base);
    add(TokenKind::kInteger, begin, out);
    return true;
  }

  void read_string(char quote) {
    const size_t begin = at_++;
    std::string out;
    while (at_ < source_.size() && source_[at_] != quote) {
      if (source_[at_] == '\\')
        read_escape(out);
      else
        out += source_[at_++];
    }
    if (at_ >= source_.size()) bad(begin, "the text that begins here has no closing {}", quote);
    ++at_;
    add(TokenKind::kString, begin, std::move(out));
  }

  // As in Python; what is no escape stays as it is.
  void read_escape(std::string& out) {
    const size_t begin = at_++;
    if (at_ >= source_.size()) return;
    const char c = source_[at_++];
    constexpr std::string_view kNames = "abfnrtv\\'\"", kValues = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t i = kNames.find(c); i != std::string_view::npos)
      out += kValues[i];
    else if (c == '\n')
      return;
    else if (c == 'x' || c == 'u' || c == 'U')
      append_utf8(out, read_code(begin, c == 'x' ? 2 : c == 'u' ? 4 : 8));
    else if (c >= '0' && c <= '7')
      append_utf8(out, read_octal(c));
    else
      (out += '\\') += c;
  }

  char32_t read_octal(char first) {
    char32_t value = static_cast<char32_t>(first - '0');
    for (int i = 0; i < 2 && at_ < source_.size() && source_[at_] >= '0' && source_[at_] <= '7';
         ++i)
      value = value * 8 + static_cast<char32_t>(source_[at_++] - '0');
    return value;
  }

  char32_t read_code(size_t begin, int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const std::string_view kHex = "0123456789abcdef";
      const char c = at_ < source_.size() ? source_[at_] : 'z';
      const size_t digit = kHex.find(is_digit(c) ? c : static_cast<char>(c | 0x20));
      if (digit == std::string_view::npos)
        bad(begin, "this escape needs {} hexadecimal digits", digits);
      value = value << 4 | static_cast<char32_t>(digit);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
      bad(begin, "U+{:04X} is not a character", static_cast<uint32_t>(value));
    return value;
  }

  std::string_view source_;
  size_t at_ = 0;
  bool at_line_begin_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::string with_unix_line_breaks(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r')
      out += source[i];
    else if (i + 1 >= source.size() || source[i + 1] != '\n')
      out += '\n';
  }
  return out;
}

std::string place_in(std::string_view source, size_t at) {
  const std::string_view before = source.substr(0, at);
  const size_t line = before.rfind('\n') + 1;
  return fmt::format("line {}, column {}", 1 + std::ranges::count(before, '\n'),
                     1 + count_characters(before.substr(line)));
}

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace lathe::jinja
