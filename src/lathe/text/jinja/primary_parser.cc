// The smallest parts of expressions: names, numbers, texts, lists, objects, what is in brackets.
#include <algorithm>
#include <array>
#include <charconv>

#include "lathe/text/jinja/parser.h"
#include "lathe/text/jinja/tree_height.h"

namespace lathe::jinja {
namespace {

// Digits of a token, which the lexer has checked. The largest are refused.
Int integer_of(const Token& token) {
  const bool based = token.text.size() > 2 && token.text[0] == '0' && token.text[1] >= 'a';
  const int base = !based ? 10 : token.text[1] == 'x' ? 16 : token.text[1] == 'o' ? 8 : 2;
  Int value = 0;
  for (const char c : std::string_view(token.text).substr(based ? 2 : 0)) {
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    if (value > (Int{1} << 100)) throw SyntaxFault{token.at, "this number is too large"};
    value = value * base + digit;
  }
  return value;
}

double float_of(const Token& token) {
  double value = 0;
  std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
  return value;
}

}  // namespace

ExprPtr ExpressionParser::primary() {
  if (tokens_.is(TokenKind::kName)) return name();
  if (tokens_.is(TokenKind::kString)) return text();
  if (tokens_.is(TokenKind::kInteger) || tokens_.is(TokenKind::kFloat)) return number();
  if (tokens_.is_operator("(")) return bracketed();
  if (tokens_.is_operator("[")) return list();
  if (tokens_.is_operator("{")) return dict();
  tokens_.bad("expected a value");
}

ExprPtr ExpressionParser::name() {
  Token token = tokens_.take();
  const std::string& word = token.text;
  if (word == "true" || word == "True") return make(token.at, Literal{true}, 0);
  if (word == "false" || word == "False") return make(token.at, Literal{false}, 0);
  if (word == "none" || word == "None") return make(token.at, Literal{None()}, 0);
  if (word == "varargs" || word == "kwargs" || word == "caller") special_names.insert(word);
  return make(token.at, Name{std::move(token.text)}, 0);
}

ExprPtr ExpressionParser::number() {
  const Token token = tokens_.take();
  if (token.kind == TokenKind::kFloat) return make(token.at, Literal{float_of(token)}, 0);
  return make(token.at, Literal{integer_of(token)}, 0);
}

ExprPtr ExpressionParser::text() {
  Token token = tokens_.take();
  while (tokens_.is(TokenKind::kString)) token.text += tokens_.take().text;
  return make(token.at, Literal{std::move(token.text)}, 0);
}

ExprPtr ExpressionParser::bracketed() {
  const Nested nested(*this);
  const size_t at = tokens_.take().at;
  if (tokens_.pass_operator(")")) return make(at, ListOf{{}, true}, 0);
  ExprPtr value = expressions();
  tokens_.expect_operator(")", "to close the '('");
  return value;
}

ExprPtr ExpressionParser::list() {
  const size_t at = tokens_.take().at;
  std::vector<ExprPtr> items;
  while (!tokens_.is_operator("]")) {
    items.push_back(expression());
    if (!tokens_.pass_operator(",")) break;
  }
  tokens_.expect_operator("]", "or ',' behind an element of the list");
  const int below = height(items);
  return make(at, ListOf{std::move(items), false}, below);
}

ExprPtr ExpressionParser::dict() {
  const size_t at = tokens_.take().at;
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
  int below = 0;
  while (!tokens_.is_operator("}")) {
    ExprPtr key = expression();
    tokens_.expect_operator(":", "between a key and its value");
    ExprPtr value = expression();
    below = std::max(below, height(key, value));
    entries.emplace_back(std::move(key), std::move(value));
    if (!tokens_.pass_operator(",")) break;
  }
  tokens_.expect_operator("}", "or ',' behind an entry of the object");
  return make(at, DictOf{std::move(entries)}, below);
}

Target ExpressionParser::single_target(bool with_attribute) {
  if (tokens_.pass_operator("(")) {
    Target inner = target(false);
    tokens_.expect_operator(")", "behind the names");
    return inner;
  }
  const Token token = tokens_.now();
  Target one;
  one.name = tokens_.expect_name("the name of a variable");
  constexpr std::array<std::string_view, 6> kConstants = {"true", "false", "none",
                                                          "True", "False", "None"};
  if (std::ranges::find(kConstants, one.name) != kConstants.end())
    throw SyntaxFault{token.at, fmt::format("'{}' is a constant and cannot be set", one.name)};
  if (with_attribute && tokens_.pass_operator("."))
    one.attribute = tokens_.expect_name("the name of an attribute");
  return one;
}

Target ExpressionParser::target(bool with_attribute) {
  const Nested nested(*this);
  Target first = single_target(with_attribute);
  if (!tokens_.is_operator(",")) return first;
  Target all;
  all.parts.push_back(std::move(first));
  while (tokens_.pass_operator(",")) {
    if (!tokens_.is(TokenKind::kName) && !tokens_.is_operator("(")) break;
    if (tokens_.is_name("in")) break;
    all.parts.push_back(single_target(with_attribute));
  }
  return all;
}

}  // namespace lathe::jinja
