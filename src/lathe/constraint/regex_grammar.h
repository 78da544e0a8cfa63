// Regular expressions, as those of JSON Schema (ECMA-262) without what is not regular: characters,
// `.`, classes, escapes, groups, alternatives, repeats. Refused by name: look-around, back-references,
// word boundaries, Unicode properties, flags.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "lathe/constraint/grammar.h"
#include "lathe/constraint/grammar_builder.h"

namespace lathe::constraint {

// The whole text matches. `^` at the beginning and `$` at the end change nothing. Throws kConfig, naming the
// place in the expression.
Grammar regex_grammar(std::string_view regex);

// How a character of a set is written; by default in UTF-8.
using WriteSet = std::function<ExprId(const CharSet&)>;
struct RegexExpr {
  ExprId expr;
  uint64_t shortest, longest;  // texts, in characters; UINT64_MAX without end
};
// An expression for the texts that match somewhere, as `pattern` of JSON Schema asks: without `^`
// anything may stand before the match, without `$` behind it.
RegexExpr regex_search_expr(GrammarBuilder& builder, std::string_view regex, const WriteSet& write);

}  // namespace lathe::constraint
