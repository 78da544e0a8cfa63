// Puts a grammar together from expressions.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lathe/constraint/grammar.h"

namespace lathe::constraint {

using ExprId = uint32_t;
using RuleId = uint32_t;

// An expression may be used in several places.
class GrammarBuilder {
 public:
  ExprId nothing() { return sequence({}); }  // the empty text
  // Throws kConfig for bytes that no text in UTF-8 has.
  ExprId text(std::string_view bytes);
  // This token itself, where the vocabulary has it among its marks; its text in letters is another thing.
  ExprId token(int32_t id);
  // Any of these, at least one; what they begin with alike is read once.
  ExprId one_of_texts(std::vector<std::string> texts);
  ExprId one_of(const CharSet& set);  // a character, in UTF-8
  // A byte of each range, one after the other; any of the sequences.
  ExprId bytes(std::vector<ByteRanges> sequences);
  ExprId sequence(std::vector<ExprId> parts);
  ExprId choice(std::vector<ExprId> parts);
  ExprId repeat(ExprId part, uint32_t min, uint32_t max);
  ExprId optional(ExprId part) { return repeat(part, 0, 1); }

  // Items that come in this order, those that may be left out maybe, with a separator between two;
  // behind them `more`, if `has_more`, any number of times.
  struct Item {
    ExprId expr;
    bool may_be_left_out;
  };
  struct Ordered {
    std::vector<Item> items;
    ExprId separator = 0;
    bool has_more = false;
    ExprId more = 0;
    bool needs_one = false;  // not all may be left out
  };
  ExprId ordered(Ordered parts);

  // A rule may be used before it is defined. `name` is for errors.
  RuleId declare(std::string name);
  void define(RuleId rule, ExprId expr);
  ExprId use(RuleId rule);

  // Throws kConfig, naming rules, for a rule that is not defined, can never end, or calls itself
  // before it has read a byte; for an expression that allows nothing; and for more than kMaxNodes nodes.
  Grammar build(RuleId root) const;

 private:
  friend class GrammarEmitter;
  enum class Kind { kBytes, kSequence, kChoice, kRepeat, kOrdered, kUse };
  struct Expr {
    Kind kind;
    std::vector<ByteRanges> bytes = {};
    std::vector<ExprId> parts = {};
    Ordered order = {};
    uint32_t min = 0, max = 0;
    RuleId rule = 0;
  };
  struct Rule {
    std::string name;
    bool defined = false;
    ExprId expr = 0;
  };
  ExprId add(Expr expr);
  ExprId these_bytes(std::string_view bytes);
  ExprId texts_from(std::span<const std::string> texts, size_t done);

  std::vector<Expr> exprs_;
  std::vector<Rule> rules_;
};

}  // namespace lathe::constraint
