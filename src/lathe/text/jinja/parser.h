// Tokens to a tree. The grammar is Jinja's; the loop controls `break` and `continue` and the block
// `generation` belong to it, blocks that read other templates (include, import, extends) do not.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "lathe/text/jinja/syntax.h"
#include "lathe/text/jinja/token_stream.h"

namespace lathe::jinja {

// Reads expressions from a stream. From the weakest to the strongest binding:
//   a if b else c · or · and · not · == < in … · + - · ~ · * / // % · ** · unary - + · .a [b] (c) · | is
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  ExprPtr expression(bool with_choice = true);
  // Several expressions with commas between them are a tuple.
  ExprPtr expressions(bool with_choice = true);
  // "| name(…) | …" behind an expression; with null for `input`, what stands behind the word
  // `filter`, whose first name has no bar before it.
  ExprPtr filters_of_block(bool first_without_bar);
  Target target(bool with_attribute);
  ExprPtr primary();

  // How many loops, macros … the parser is in; faults when there are too many.
  class Nested {
   public:
    explicit Nested(ExpressionParser& parser);
    ~Nested() { --parser_.nesting_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    ExpressionParser& parser_;
  };

  // The names read since the set was emptied, among those that macros get without asking.
  std::set<std::string> special_names;

 private:
  friend class Nested;
  template <class Node>
  ExprPtr make(size_t at, Node node, int below);
  ExprPtr choice();
  ExprPtr either(), both(), negation(), comparison(), sum(), concatenation(), product(), power();
  ExprPtr unary(bool with_filters = true);
  ExprPtr postfix(ExprPtr object);
  ExprPtr filtered(ExprPtr value);
  ExprPtr dotted(ExprPtr object), subscripted(ExprPtr object), called(ExprPtr callee);
  ExprPtr slice_or_index(size_t at, ExprPtr object);
  ExprPtr filter(ExprPtr input), test(ExprPtr input);
  ExprPtr name(), number(), text(), bracketed(), list(), dict();
  std::optional<CompareOp> comparison_operator();
  Arguments arguments();
  void argument(Arguments& out);
  bool begins_bare_argument() const;
  Target single_target(bool with_attribute);

  TokenStream& tokens_;
  int nesting_ = 0;
};

template <class Node>
ExprPtr ExpressionParser::make(size_t at, Node node, int below) {
  if (below >= kMaxHeight)
    throw SyntaxFault{at, fmt::format("this expression has more than {} operators that depend on "
                                      "each other; divide it with `set`",
                                      kMaxHeight)};
  return std::make_unique<const Expr>(Expr{static_cast<uint32_t>(at), below + 1, std::move(node)});
}

struct ParsedTemplate {
  Body body;
  bool has_generations = false;  // a {% generation %} stands in it
};
// A whole template; throws SyntaxFault.
ParsedTemplate parse_template(std::string_view source);

}  // namespace lathe::jinja
