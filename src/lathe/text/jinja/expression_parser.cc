#include <algorithm>
#include <array>

#include "lathe/text/jinja/filters.h"
#include "lathe/text/jinja/parser.h"
#include "lathe/text/jinja/tests.h"
#include "lathe/text/jinja/tree_height.h"

namespace lathe::jinja {
namespace {

struct NamedOp {
  std::string_view text;
  BinaryOp op;
};
constexpr std::array kSumOps = {NamedOp{"+", BinaryOp::kAdd}, NamedOp{"-", BinaryOp::kSubtract}};
constexpr std::array kProductOps = {
    NamedOp{"*", BinaryOp::kMultiply}, NamedOp{"/", BinaryOp::kDivide},
    NamedOp{"//", BinaryOp::kFloorDivide}, NamedOp{"%", BinaryOp::kModulo}};

template <class Ops>
std::optional<BinaryOp> pass_any(TokenStream& tokens, const Ops& ops) {
  for (const NamedOp& o : ops)
    if (tokens.pass_operator(o.text)) return o.op;
  return std::nullopt;
}

}  // namespace

ExpressionParser::Nested::Nested(ExpressionParser& parser) : parser_(parser) {
  if (++parser_.nesting_ > kMaxNesting) {
    --parser_.nesting_;
    parser_.tokens_.bad("tags and brackets stand in each other more than {} deep", kMaxNesting);
  }
}

ExprPtr ExpressionParser::expression(bool with_choice) {
  const Nested nested(*this);
  return with_choice ? choice() : either();
}

ExprPtr ExpressionParser::choice() {
  ExprPtr value = either();
  while (tokens_.is_name("if")) {
    const size_t at = tokens_.take().at;
    ExprPtr condition = either(), otherwise;
    if (tokens_.pass_name("else")) {
      const Nested nested(*this);
      otherwise = choice();
    }
    const int below = height(value, condition, otherwise);
    value = make(at, Choice{std::move(condition), std::move(value), std::move(otherwise)}, below);
  }
  return value;
}

ExprPtr ExpressionParser::either() {
  ExprPtr left = both();
  while (tokens_.is_name("or")) {
    const size_t at = tokens_.take().at;
    ExprPtr right = both();
    const int below = height(left, right);
    left = make(at, Binary{BinaryOp::kOr, std::move(left), std::move(right)}, below);
  }
  return left;
}

ExprPtr ExpressionParser::both() {
  ExprPtr left = negation();
  while (tokens_.is_name("and")) {
    const size_t at = tokens_.take().at;
    ExprPtr right = negation();
    const int below = height(left, right);
    left = make(at, Binary{BinaryOp::kAnd, std::move(left), std::move(right)}, below);
  }
  return left;
}

ExprPtr ExpressionParser::negation() {
  if (!tokens_.is_name("not")) return comparison();
  const Nested nested(*this);
  const size_t at = tokens_.take().at;
  ExprPtr operand = negation();
  const int below = height(operand);
  return make(at, Unary{UnaryOp::kNot, std::move(operand)}, below);
}

std::optional<CompareOp> ExpressionParser::comparison_operator() {
  constexpr std::array<std::pair<std::string_view, CompareOp>, 6> kOps = {
      {{"==", CompareOp::kEqual},
       {"!=", CompareOp::kNotEqual},
       {"<", CompareOp::kLess},
       {"<=", CompareOp::kLessEqual},
       {">", CompareOp::kGreater},
       {">=", CompareOp::kGreaterEqual}}};
  for (const auto& [text, op] : kOps)
    if (tokens_.pass_operator(text)) return op;
  if (tokens_.pass_name("in")) return CompareOp::kIn;
  const Token& next = tokens_.ahead();
  if (tokens_.is_name("not") && next.kind == TokenKind::kName && next.text == "in") {
    tokens_.take();
    tokens_.take();
    return CompareOp::kNotIn;
  }
  return std::nullopt;
}

ExprPtr ExpressionParser::comparison() {
  const size_t at = tokens_.now().at;
  ExprPtr first = sum();
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
  int below = height(first);
  while (const auto op = comparison_operator()) {
    rest.emplace_back(*op, sum());
    below = std::max(below, height(rest.back().second));
  }
  if (rest.empty()) return first;
  return make(at, Comparison{std::move(first), std::move(rest)}, below);
}

ExprPtr ExpressionParser::sum() {
  ExprPtr left = concatenation();
  for (size_t at = tokens_.now().at; const auto op = pass_any(tokens_, kSumOps);
       at = tokens_.now().at) {
    ExprPtr right = concatenation();
    const int below = height(left, right);
    left = make(at, Binary{*op, std::move(left), std::move(right)}, below);
  }
  return left;
}

ExprPtr ExpressionParser::concatenation() {
  const size_t at = tokens_.now().at;
  std::vector<ExprPtr> parts;
  do {
    parts.push_back(product());
  } while (tokens_.pass_operator("~"));
  if (parts.size() == 1) return std::move(parts[0]);
  const int below = height(parts);
  return make(at, Concatenation{std::move(parts)}, below);
}

ExprPtr ExpressionParser::product() {
  ExprPtr left = power();
  for (size_t at = tokens_.now().at; const auto op = pass_any(tokens_, kProductOps);
       at = tokens_.now().at) {
    ExprPtr right = power();
    const int below = height(left, right);
    left = make(at, Binary{*op, std::move(left), std::move(right)}, below);
  }
  return left;
}

ExprPtr ExpressionParser::power() {
  ExprPtr left = unary();
  while (tokens_.is_operator("**")) {
    const size_t at = tokens_.take().at;
    ExprPtr right = unary();
    const int below = height(left, right);
    left = make(at, Binary{BinaryOp::kPower, std::move(left), std::move(right)}, below);
  }
  return left;
}

ExprPtr ExpressionParser::unary(bool with_filters) {
  ExprPtr value;
  const size_t at = tokens_.now().at;
  if (const bool minus = tokens_.is_operator("-"); minus || tokens_.is_operator("+")) {
    const Nested nested(*this);
    tokens_.take();
    ExprPtr operand = unary(false);
    const int below = height(operand);
    value = make(at, Unary{minus ? UnaryOp::kMinus : UnaryOp::kPlus, std::move(operand)}, below);
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  return with_filters ? filtered(std::move(value)) : std::move(value);
}

ExprPtr ExpressionParser::expressions(bool with_choice) {
  const size_t at = tokens_.now().at;
  std::vector<ExprPtr> items;
  bool comma = false;
  do {
    if (comma && (tokens_.is(TokenKind::kBlockEnd) || tokens_.is(TokenKind::kPrintEnd) ||
                  tokens_.is_operator(")")))
      break;
    items.push_back(expression(with_choice));
    if (!tokens_.is_operator(",")) break;
    comma = true;
  } while (tokens_.pass_operator(","));
  if (!comma) return std::move(items[0]);
  const int below = height(items);
  return make(at, ListOf{std::move(items), true}, below);
}

ExprPtr ExpressionParser::postfix(ExprPtr object) {
  while (true) {
    if (tokens_.is_operator("."))
      object = dotted(std::move(object));
    else if (tokens_.is_operator("["))
      object = subscripted(std::move(object));
    else if (tokens_.is_operator("("))
      object = called(std::move(object));
    else
      return object;
  }
}

ExprPtr ExpressionParser::dotted(ExprPtr object) {
  tokens_.take();
  const size_t at = tokens_.now().at;
  const int below = height(object);
  if (tokens_.is(TokenKind::kInteger)) {
    ExprPtr index = number();
    return make(at, Subscript{std::move(object), std::move(index)}, below);
  }
  std::string attribute = tokens_.expect_name("a name behind '.'");
  return make(at, Attribute{std::move(object), std::move(attribute)}, below);
}

ExprPtr ExpressionParser::subscripted(ExprPtr object) {
  const size_t at = tokens_.take().at;
  ExprPtr value = slice_or_index(at, std::move(object));
  tokens_.expect_operator("]", "to close the '['");
  return value;
}

ExprPtr ExpressionParser::slice_or_index(size_t at, ExprPtr object) {
  ExprPtr begin, end, step;
  if (!tokens_.is_operator(":")) {
    begin = expressions();
    if (!tokens_.is_operator(":")) {
      const int below = height(object, begin);
      return make(at, Subscript{std::move(object), std::move(begin)}, below);
    }
  }
  tokens_.take();
  if (!tokens_.is_operator("]") && !tokens_.is_operator(":")) end = expression();
  if (tokens_.pass_operator(":") && !tokens_.is_operator("]")) step = expression();
  const int below = std::max(height(object, begin), height(end, step));
  return make(at, Slice{std::move(object), std::move(begin), std::move(end), std::move(step)},
              below);
}

void ExpressionParser::argument(Arguments& out) {
  if (tokens_.pass_operator("*")) {
    if (out.star || out.star_star) tokens_.bad("expected one '*' before any '**'");
    out.star = expression();
  } else if (tokens_.pass_operator("**")) {
    if (out.star_star) tokens_.bad("expected one '**'");
    out.star_star = expression();
  } else if (tokens_.is(TokenKind::kName) && tokens_.ahead_is_operator("=")) {
    std::string key = tokens_.take().text;
    tokens_.take();
    out.named.emplace_back(std::move(key), expression());
  } else {
    if (!out.named.empty() || out.star || out.star_star)
      tokens_.bad("expected arguments without a name before those with one");
    out.positional.push_back(expression());
  }
}

Arguments ExpressionParser::arguments() {
  Arguments out;
  tokens_.expect_operator("(", "before the arguments");
  while (!tokens_.is_operator(")")) {
    argument(out);
    if (!tokens_.pass_operator(",")) break;
  }
  tokens_.expect_operator(")", "or ',' behind an argument");
  return out;
}

ExprPtr ExpressionParser::called(ExprPtr callee) {
  const size_t at = callee->at;
  Arguments with = arguments();
  const int below = std::max(height(callee), height(with));
  return make(at, CallOf{std::move(callee), std::move(with)}, below);
}

ExprPtr ExpressionParser::filtered(ExprPtr value) {
  while (true) {
    if (tokens_.pass_operator("|"))
      value = filter(std::move(value));
    else if (tokens_.pass_name("is"))
      value = test(std::move(value));
    else if (tokens_.is_operator("("))
      value = called(std::move(value));
    else
      return value;
  }
}

ExprPtr ExpressionParser::filter(ExprPtr input) {
  const size_t at = tokens_.now().at;
  std::string word = tokens_.expect_name("the name of a filter");
  Arguments with;
  if (tokens_.is_operator("(")) with = arguments();
  const int below = std::max(height(input), height(with));
  const Builtin* known = find_filter(word);
  return make(at, FilterUse{std::move(input), std::move(word), known, std::move(with)}, below);
}

ExprPtr ExpressionParser::filters_of_block(bool first_without_bar) {
  ExprPtr value;
  if (first_without_bar) value = filter(nullptr);
  while (tokens_.pass_operator("|")) value = filter(std::move(value));
  return value;
}

// `is divisibleby 3`: an argument without brackets.
bool ExpressionParser::begins_bare_argument() const {
  if (tokens_.is(TokenKind::kName))
    return !tokens_.is_name("else") && !tokens_.is_name("or") && !tokens_.is_name("and") &&
           !tokens_.is_name("if") && !tokens_.is_name("in") && !tokens_.is_name("not");
  return tokens_.is(TokenKind::kString) || tokens_.is(TokenKind::kInteger) ||
         tokens_.is(TokenKind::kFloat) || tokens_.is_operator("[") || tokens_.is_operator("{");
}

ExprPtr ExpressionParser::test(ExprPtr input) {
  const size_t at = tokens_.now().at;
  const bool negated = tokens_.pass_name("not");
  std::string word = tokens_.expect_name("the name of a test behind `is`");
  Arguments with;
  if (tokens_.is_operator("(")) {
    with = arguments();
  } else if (begins_bare_argument()) {
    if (tokens_.is_name("is")) tokens_.bad("expected `and` or `or` between two tests");
    with.positional.push_back(postfix(primary()));
  }
  const int below = std::max(height(input), height(with));
  const Builtin* known = find_test(word);
  return make(at, TestUse{std::move(input), std::move(word), known, std::move(with), negated},
              below);
}

}  // namespace lathe::jinja
