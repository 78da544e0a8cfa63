// What a template is parsed to.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lathe/text/jinja/value.h"

namespace lathe::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<const Expr>;

struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr star, star_star;  // *list and **object; may be null
};

enum class UnaryOp { kNot, kMinus, kPlus };
enum class BinaryOp {
  kAnd,
  kOr,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower
};
enum class CompareOp { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

struct Literal {
  std::variant<None, bool, Int, double, std::string> value;
};
struct Name {
  std::string name;
};
struct ListOf {
  std::vector<ExprPtr> items;
  bool tuple;
};
struct DictOf {
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};
struct Unary {
  UnaryOp op;
  ExprPtr operand;
};
struct Binary {
  BinaryOp op;
  ExprPtr left, right;
};
struct Comparison {
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};
struct Concatenation {
  std::vector<ExprPtr> parts;
};
struct Choice {
  ExprPtr condition, then, otherwise;  // the last may be null
};
struct Attribute {
  ExprPtr object;
  std::string name;
};
struct Subscript {
  ExprPtr object, index;
};
struct Slice {
  ExprPtr object, begin, end, step;  // all but the first may be null
};
struct CallOf {
  ExprPtr callee;
  Arguments arguments;
};
struct FilterUse {
  ExprPtr input;  // null: what a filter block or a set block holds
  std::string name;
  const Builtin* filter;  // null: unknown, an error when it is reached
  Arguments arguments;
};
struct TestUse {
  ExprPtr input;
  std::string name;
  const Builtin* test;
  Arguments arguments;
  bool negated;
};

struct Expr {
  uint32_t at;  // byte of the template
  int height;   // of the tree below, at most kMaxHeight
  std::variant<Literal, Name, ListOf, DictOf, Unary, Binary, Comparison, Concatenation, Choice,
               Attribute, Subscript, Slice, CallOf, FilterUse, TestUse>
      node;
};

struct Statement;
using Body = std::vector<Statement>;

// What `set` and `for` assign to: a name, `namespace.attribute`, or several of these.
struct Target {
  std::string name;
  std::string attribute;      // empty: the name itself
  std::vector<Target> parts;  // not empty: a tuple
};

struct Parameter {
  std::string name;
  ExprPtr fallback;  // null: undefined when left out
};

struct Print {
  ExprPtr value;
};
struct Data {
  std::string text;
};
struct If {
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
struct For {
  Target target;
  ExprPtr iterable, condition;  // the second may be null
  Body body, otherwise;
  bool recursive;
};
struct Set {
  Target target;
  ExprPtr value;
};
struct SetBlock {
  Target target;
  ExprPtr filter;  // null, or a FilterUse of the body's text
  Body body;
};
struct MacroOf {
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
  bool takes_more = false, takes_named = false;  // it uses `varargs`, `kwargs`
  bool takes_caller = false;
};
struct CallBlock {
  ExprPtr call;
  MacroOf caller;
};
struct FilterBlock {
  ExprPtr filter;
  Body body;
};
struct With {
  std::vector<std::pair<Target, ExprPtr>> variables;
  Body body;
};
struct Generation {
  Body body;
};
struct Break {};
struct Continue {};

struct Statement {
  uint32_t at;
  std::variant<Print, Data, If, For, Set, SetBlock, MacroOf, CallBlock, FilterBlock, With,
               Generation, Break, Continue>
      node;
};

}  // namespace lathe::jinja
