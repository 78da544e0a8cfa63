#include "lathe/constraint/gbnf.h"

#include <algorithm>
#include <map>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/constraint/grammar_builder.h"

namespace lathe::constraint {
namespace {

constexpr size_t kMaxText = 1 << 20;
constexpr int kMaxDepth = 100;
constexpr uint32_t kMaxRepeat = 100'000;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

class GbnfParser {
 public:
  explicit GbnfParser(std::string_view text) : text_(text) {
    require(text.size() <= kMaxText, ErrorKind::kConfig, "GBNF",
            "the grammar has {} bytes, expected at most {}", text.size(), kMaxText);
    require(is_valid_utf8(text), ErrorKind::kConfig, "GBNF", "the grammar is not valid UTF-8");
  }

  Grammar run() {
    skip(true);
    while (at_ < text_.size()) read_rule();
    const auto root = rules_.find("root");
    require(root != rules_.end() && root->second.defined, ErrorKind::kConfig, "GBNF",
            "there is no rule 'root', which is the whole text; add one: root ::= …");
    for (const auto& [name, rule] : rules_) {
      if (rule.defined) continue;
      at_ = rule.first_use;
      bad("the rule '{}' is used and not defined", name);
    }
    return builder_.build(root->second.id);
  }

 private:
  struct Rule {
    RuleId id;
    bool defined = false;
    size_t first_use = 0;
  };

  template <class... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) const {
    const std::string_view before = text_.substr(0, at_);
    fail(ErrorKind::kConfig, "GBNF", "line {}, column {}: {}", 1 + std::ranges::count(before, '\n'),
         1 + count_characters(before.substr(before.rfind('\n') + 1)),
         fmt::format(format, std::forward<Args>(args)...));
  }

  bool looking_at(std::string_view s) const { return text_.substr(at_).starts_with(s); }
  bool pass(std::string_view s) {
    if (!looking_at(s)) return false;
    at_ += s.size();
    return true;
  }

  // Blanks and comments, and line breaks where a rule goes on.
  void skip(bool lines) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string name() {
    const size_t begin = at_;
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    if (at_ == begin) bad("expected the name of a rule");
    return std::string(text_.substr(begin, at_ - begin));
  }

  Rule& rule_called(const std::string& word, size_t place) {
    const auto [found, added] = rules_.try_emplace(word);
    if (added) found->second = {builder_.declare(word), false, place};
    return found->second;
  }

  void read_rule() {
    const size_t begin = at_;
    const std::string word = name();
    skip(false);
    if (!pass("::=")) bad("expected '::=' behind the name of the rule '{}'", word);
    skip(true);
    const ExprId body = alternatives(false);
    Rule& rule = rule_called(word, begin);
    if (rule.defined) {
      at_ = begin;
      bad("the rule '{}' is defined twice", word);
    }
    rule.defined = true;
    builder_.define(rule.id, body);
    if (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r')
      bad("expected the end of the line behind the rule '{}'", word);
    skip(true);
  }

  ExprId alternatives(bool nested) {
    if (++depth_ > kMaxDepth) bad("groups stand in each other more than {} deep", kMaxDepth);
    std::vector<ExprId> all;
    while (true) {
      all.push_back(sequence(nested));
      if (!pass("|")) break;
      skip(true);
    }
    --depth_;
    return builder_.choice(std::move(all));
  }

  ExprId sequence(bool nested) {
    std::vector<ExprId> parts;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c != '"' && c != '[' && c != '(' && c != '.' && !is_name_char(c)) break;
      parts.push_back(repeated(atom(c), nested));
      skip(nested);
    }
    if (looking_at("<") || looking_at("!"))
      bad("tokens in angle brackets are not supported; write their text in quotes");
    return builder_.sequence(std::move(parts));
  }

  ExprId atom(char c) {
    if (c == '"') return literal();
    if (c == '[') return builder_.one_of(char_class());
    if (pass(".")) return builder_.one_of(CharSet::all());
    if (pass("(")) {
      skip(true);
      const ExprId inside = alternatives(true);
      if (!pass(")")) bad("expected ')' to close a group");
      return inside;
    }
    const size_t place = at_;
    const std::string word = name();
    return builder_.use(rule_called(word, place).id);
  }

  uint32_t number() {
    if (at_ >= text_.size() || text_[at_] < '0' || text_[at_] > '9') bad("expected a number");
    uint64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      value = std::min<uint64_t>(value * 10 + static_cast<uint64_t>(text_[at_] - '0'), UINT32_MAX);
    if (value > kMaxRepeat) bad("a repeat is at most {} times", kMaxRepeat);
    return static_cast<uint32_t>(value);
  }

  ExprId repeated(ExprId part, bool nested) {
    skip(nested);
    if (pass("*")) return builder_.repeat(part, 0, kUnbounded);
    if (pass("+")) return builder_.repeat(part, 1, kUnbounded);
    if (pass("?")) return builder_.repeat(part, 0, 1);
    if (!pass("{")) return part;
    skip(nested);
    const uint32_t min = looking_at(",") ? 0 : number();
    skip(nested);
    uint32_t max = min;
    if (pass(",")) {
      skip(nested);
      max = looking_at("}") ? kUnbounded : number();
      skip(nested);
    }
    if (!pass("}")) bad("expected '}}' to close a repeat");
    if (max < min) bad("a repeat of {} to {} times is not possible", min, max);
    return builder_.repeat(part, min, max);
  }

  char32_t character() {
    if (pass("\\")) return escape();
    if (at_ >= text_.size() || text_[at_] == '\n') bad("the text or class is not closed");
    const CodePoint c = decode_utf8(as_bytes(text_) + at_, as_bytes(text_) + text_.size());
    at_ += c.size;
    return c.value;
  }

  char32_t escape() {
    if (at_ >= text_.size()) bad("the text or class is not closed");
    const char c = text_[at_++];
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return code(2);
      case 'u':
        return code(4);
      case 'U':
        return code(8);
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<char32_t>(c);
      default:
        bad("'\\{}' is not an escape", c);
    }
  }

  char32_t code(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : ' ';
      const bool hex = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
      if (!hex) bad("an escape needs {} hexadecimal digits", digits);
      value = value << 4 | static_cast<char32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) bad("there is no such character");
    return value;
  }

  ExprId literal() {
    ++at_;
    std::string out;
    while (!pass("\"")) append_utf8(out, character());
    return builder_.text(out);
  }

  CharSet char_class() {
    ++at_;
    const bool negated = pass("^");
    CharSet set;
    while (!pass("]")) {
      const char32_t low = character();
      if (looking_at("-") && !looking_at("-]")) {
        ++at_;
        const char32_t high = character();
        if (high < low) bad("this range of characters goes backwards");
        set.add({low, high});
      } else {
        set.add({low, low});
      }
    }
    const CharSet all = negated ? set.complement() : set;
    if (all.empty()) bad("this class has no characters");
    return all;
  }

  const std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  GrammarBuilder builder_;
  std::map<std::string, Rule> rules_;
};

}  // namespace

Grammar gbnf_grammar(std::string_view text) { return GbnfParser(text).run(); }

}  // namespace lathe::constraint
