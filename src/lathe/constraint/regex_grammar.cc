#include "lathe/constraint/regex_grammar.h"

#include <algorithm>
#include <optional>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"

namespace lathe::constraint {
namespace {

constexpr size_t kMaxRegex = 1 << 16;
constexpr int kMaxDepth = 100;
constexpr uint32_t kMaxRepeat = 100'000;

const CharSet& digits() {
  static const CharSet set = {{'0', '9'}};
  return set;
}
const CharSet& words() {
  static const CharSet set = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
  return set;
}
const CharSet& spaces() {
  static const CharSet set = {
      {9, 13},          {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
      {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
  return set;
}
const CharSet& line_ends() {
  static const CharSet set = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
  return set;
}

using Part = RegexExpr;

uint64_t times(uint64_t length, uint32_t count) {
  if (length == 0 || count == 0) return 0;
  return length == UINT64_MAX || count == kUnbounded || length > UINT32_MAX ? UINT64_MAX
                                                                            : length * count;
}
uint64_t plus(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

class RegexParser {
 public:
  RegexParser(GrammarBuilder& builder, std::string_view regex, const WriteSet& write, bool search)
      : builder_(builder), regex_(regex), write_(write), search_(search) {
    require(regex.size() <= kMaxRegex, ErrorKind::kConfig, "regular expression",
            "has {} bytes, expected at most {}", regex.size(), kMaxRegex);
    require(is_valid_utf8(regex), ErrorKind::kConfig, "regular expression", "is not valid UTF-8");
  }

  Part run() {
    const Part whole = alternatives(true);
    if (at_ < regex_.size()) bad("')' closes nothing");
    return whole;
  }

 private:
  template <class... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorKind::kConfig, "regular expression", "'{}', character {}: {}", regex_,
         count_characters(regex_.substr(0, at_)) + 1,
         fmt::format(format, std::forward<Args>(args)...));
  }

  bool looking_at(std::string_view text) const { return regex_.substr(at_).starts_with(text); }
  bool pass(std::string_view text) {
    if (!looking_at(text)) return false;
    at_ += text.size();
    return true;
  }
  char32_t take() {
    if (at_ >= regex_.size()) bad("ends too early");
    const CodePoint c = decode_utf8(as_bytes(regex_) + at_, as_bytes(regex_) + regex_.size());
    at_ += c.size;
    return c.value;
  }

  Part anything() {
    return {builder_.repeat(write_(CharSet::all()), 0, kUnbounded), 0, UINT64_MAX};
  }

  Part either(const std::vector<Part>& ways) {
    Part out{0, UINT64_MAX, 0};
    std::vector<ExprId> exprs;
    for (const Part& way : ways) {
      exprs.push_back(way.expr);
      out.shortest = std::min(out.shortest, way.shortest);
      out.longest = std::max(out.longest, way.longest);
    }
    out.expr = builder_.choice(std::move(exprs));
    return out;
  }

  Part one_by_one(const std::vector<Part>& parts) {
    Part out{0, 0, 0};
    std::vector<ExprId> exprs;
    for (const Part& part : parts) {
      exprs.push_back(part.expr);
      out.shortest = plus(out.shortest, part.shortest);
      out.longest = plus(out.longest, part.longest);
    }
    out.expr = builder_.sequence(std::move(exprs));
    return out;
  }

  // `outermost`: anchors may stand at the ends of each alternative.
  Part alternatives(bool outermost) {
    if (++depth_ > kMaxDepth) bad("groups stand in each other more than {} deep", kMaxDepth);
    std::vector<Part> all;
    do {
      all.push_back(alternative(outermost));
    } while (pass("|"));
    --depth_;
    return either(all);
  }

  Part alternative(bool outermost) {
    std::vector<Part> parts;
    bool at_begin = false, at_end = false;
    while (outermost && pass("^")) at_begin = true;
    while (at_ < regex_.size() && !looking_at("|") && !looking_at(")")) {
      if (pass("$")) {
        at_end = true;
        continue;
      }
      if (at_end || looking_at("^"))
        bad("'^' and '$' may only stand at the ends of the expression");
      parts.push_back(repeated(atom()));
    }
    if (at_end && !outermost) bad("'$' may only stand at the end of the expression");
    if (outermost && search_ && !at_begin) parts.insert(parts.begin(), anything());
    if (outermost && search_ && !at_end) parts.push_back(anything());
    return one_by_one(parts);
  }

  Part atom() {
    if (pass("(")) return group();
    if (pass("[")) return write(char_class());
    if (pass(".")) return write(line_ends().complement());
    if (pass("\\")) return write(escape(false));
    if (looking_at("*") || looking_at("+") || looking_at("?") || looking_at("{")) {
      if (!looking_at("{") || quantifier_follows()) bad("there is nothing to repeat");
    }
    const char32_t c = take();
    return write({{c, c}});
  }

  Part write(const CharSet& set) {
    if (set.empty()) bad("this class has no characters");
    return {write_(set), 1, 1};
  }

  Part group() {
    const bool behind = looking_at("?<=") || looking_at("?<!");
    if (!behind && (pass("?<") || pass("?P<")))
      while (!pass(">")) take();  // a name
    else if (!pass("?:") && looking_at("?"))
      bad("look-around, flags and conditions are not regular and not supported; write it without");
    const Part inside = alternatives(false);
    if (!pass(")")) bad("'(' is not closed");
    return inside;
  }

  std::optional<uint32_t> number() {
    if (at_ >= regex_.size() || regex_[at_] < '0' || regex_[at_] > '9') return std::nullopt;
    uint64_t value = 0;
    for (; at_ < regex_.size() && regex_[at_] >= '0' && regex_[at_] <= '9'; ++at_)
      value = std::min<uint64_t>(value * 10 + static_cast<uint64_t>(regex_[at_] - '0'), UINT32_MAX);
    if (value > kMaxRepeat) bad("a repeat is at most {} times", kMaxRepeat);
    return static_cast<uint32_t>(value);
  }

  struct Times {
    uint32_t min, max;
  };
  // {2}, {2,} or {2,5}; any other brace is a character.
  std::optional<Times> braces() {
    const size_t before = at_;
    if (!pass("{")) return std::nullopt;
    if (const auto min = number()) {
      if (pass("}")) return Times{*min, *min};
      if (pass(",")) {
        const auto max = number();
        if (pass("}")) {
          if (max && *max < *min) bad("a repeat of {} to {} times is not possible", *min, *max);
          return Times{*min, max.value_or(kUnbounded)};
        }
      }
    }
    at_ = before;
    return std::nullopt;
  }

  bool quantifier_follows() {
    const size_t before = at_;
    const bool does = braces().has_value();
    at_ = before;
    return does;
  }

  Part repeated(const Part& part) {
    std::optional<Times> count;
    if (pass("*"))
      count = Times{0, kUnbounded};
    else if (pass("+"))
      count = Times{1, kUnbounded};
    else if (pass("?"))
      count = Times{0, 1};
    else
      count = braces();
    if (!count) return part;
    pass("?");  // as few as possible: the same texts
    if (looking_at("*") || looking_at("+") || looking_at("?") || quantifier_follows())
      bad("a repeat cannot be repeated; put it in a group");
    return {builder_.repeat(part.expr, count->min, count->max), times(part.shortest, count->min),
            times(part.longest, count->max)};
  }

  // The set behind a backslash.
  CharSet escape(bool in_class) {
    const size_t begin = at_;
    const char32_t c = take();
    switch (c) {
      case 'd':
        return digits();
      case 'D':
        return digits().complement();
      case 'w':
        return words();
      case 'W':
        return words().complement();
      case 's':
        return spaces();
      case 'S':
        return spaces().complement();
      case 'x':
        return code(2);
      case 'u':
        return looking_at("{") ? braced_code() : surrogate_pair(code_unit(4));
      case 'c':
        bad("'\\c' is not supported; write the character as \\xNN");
      default:
        break;
    }
    constexpr std::string_view kNames = "tnrfv", kValues = "\t\n\r\f\v";
    if (c < 0x80)
      if (const size_t i = kNames.find(static_cast<char>(c)); i != std::string_view::npos)
        return one(static_cast<char32_t>(kValues[i]));
    if (c == '0') return one(0);
    if (c == 'b' && in_class) return one('\b');
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '1' && c <= '9');
    if (letter) {
      at_ = begin;
      bad("'\\{}' is not supported: back-references, word boundaries and Unicode properties are not; "
          "write the characters themselves",
          static_cast<char>(c));
    }
    return one(c);
  }

  static CharSet one(char32_t c) { return {{c, c}}; }

  char32_t code_unit(int digits_wanted) {
    char32_t value = 0;
    for (int i = 0; i < digits_wanted; ++i) {
      const char32_t c = take();
      const bool hex = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
      if (!hex) bad("an escape needs {} hexadecimal digits", digits_wanted);
      value = value << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
  }
  CharSet code(int digits_wanted) { return one(code_unit(digits_wanted)); }

  CharSet surrogate_pair(char32_t high) {
    if (high < 0xD800 || high > 0xDFFF) return one(high);
    if (high > 0xDBFF || !pass("\\u")) bad("half of a surrogate pair is not a character");
    const char32_t low = code_unit(4);
    if (low < 0xDC00 || low > 0xDFFF) bad("half of a surrogate pair is not a character");
    return one(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00));
  }

  CharSet braced_code() {
    take();
    char32_t value = 0;
    while (!pass("}")) {
      value = value << 4 | code_unit(1);
      if (value > 0x10FFFF) bad("there is no such character");
    }
    return one(value);
  }

  CharSet class_member() { return pass("\\") ? escape(true) : one(take()); }

  CharSet char_class() {
    const bool negated = pass("^");
    CharSet set;
    for (bool first = true; first || !looking_at("]"); first = false) {
      if (first && pass("]")) return negated ? CharSet::all() : CharSet();
      const CharSet low = class_member();
      const bool single = low.ranges().size() == 1 && low.ranges()[0].low == low.ranges()[0].high;
      if (single && looking_at("-") && !looking_at("-]")) {
        take();
        const CharSet high = class_member();
        const bool fits = high.ranges().size() == 1 &&
                          high.ranges()[0].low == high.ranges()[0].high &&
                          high.ranges()[0].low >= low.ranges()[0].low;
        if (!fits) bad("this range of characters goes backwards or has no end");
        set.add({low.ranges()[0].low, high.ranges()[0].low});
      } else {
        set.add(low);
      }
    }
    take();
    return negated ? set.complement() : set;
  }

  GrammarBuilder& builder_;
  const std::string_view regex_;
  const WriteSet& write_;
  const bool search_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Grammar regex_grammar(std::string_view regex) {
  GrammarBuilder builder;
  const WriteSet write = [&](const CharSet& set) { return builder.one_of(set); };
  const RuleId root = builder.declare("the regular expression");
  builder.define(root, RegexParser(builder, regex, write, false).run().expr);
  return builder.build(root);
}

RegexExpr regex_search_expr(GrammarBuilder& builder, std::string_view regex,
                            const WriteSet& write) {
  return RegexParser(builder, regex, write, true).run();
}

}  // namespace lathe::constraint
