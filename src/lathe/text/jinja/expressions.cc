// The values of expressions.
#include "lathe/base/strings.h"
#include "lathe/text/jinja/access.h"
#include "lathe/text/jinja/evaluator.h"
#include "lathe/text/jinja/filters.h"
#include "lathe/text/jinja/globals.h"
#include "lathe/text/jinja/operators.h"
#include "lathe/text/jinja/tests.h"

namespace lathe::jinja {

Value Evaluator::used(Value value) const {
  if (strict_) require_defined(value);
  return value;
}

Value Evaluator::evaluate(const Expr& expr) {
  const Deeper deeper(*this);
  at_ = expr.at;
  return std::visit([this](const auto& node) { return value_of(node); }, expr.node);
}

Value Evaluator::value_of(const Literal& node) {
  return std::visit(
      [this](const auto& value) {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>)
          return heap_.text(value);
        else
          return Value(value);
      },
      node.value);
}

Value Evaluator::value_of(const Name& node) {
  if (const Value* value = scope_->find(node.name)) return *value;
  if (const Builtin* global = find_global(node.name)) return heap_.make<Function>(*global, Value());
  return heap_.undefined(fmt::format("'{}' is undefined", node.name));
}

Value Evaluator::value_of(const ListOf& node) {
  std::vector<Value> items;
  for (const ExprPtr& item : node.items) items.push_back(evaluate(*item));
  return node.tuple ? heap_.tuple(std::move(items)) : heap_.list(std::move(items));
}

Value Evaluator::value_of(const DictOf& node) {
  Dict* dict = heap_.dict();
  for (const auto& [key, value] : node.entries) {
    const Value k = evaluate(*key);
    heap_.charge(sizeof(Value) * 2);
    dict->set(k, evaluate(*value));
  }
  return dict;
}

Value Evaluator::value_of(const Unary& node) {
  if (node.op == UnaryOp::kNot) return !truth(*node.operand);
  const Value operand = evaluate(*node.operand);
  return node.op == UnaryOp::kMinus ? negative(operand) : positive(operand);
}

Value Evaluator::value_of(const Binary& node) {
  const uint32_t at = at_;
  const Value left = evaluate(*node.left);
  if (node.op == BinaryOp::kAnd) return is_true(used(left)) ? evaluate(*node.right) : left;
  if (node.op == BinaryOp::kOr) return is_true(used(left)) ? left : evaluate(*node.right);
  const Value right = evaluate(*node.right);
  at_ = at;
  return arithmetic(heap_, node.op, left, right);
}

Value Evaluator::value_of(const Comparison& node) {
  const uint32_t at = at_;
  Value left = used(evaluate(*node.first));
  for (const auto& [op, operand] : node.rest) {
    Value right = used(evaluate(*operand));
    at_ = at;
    if (!holds(heap_, op, left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Evaluator::value_of(const Concatenation& node) {
  std::string out;
  for (const ExprPtr& part : node.parts) {
    out += to_text(heap_, used(evaluate(*part)));
    heap_.require_room(out.size());
  }
  return heap_.text(std::move(out));
}

Value Evaluator::value_of(const Choice& node) {
  if (truth(*node.condition)) return evaluate(*node.then);
  if (node.otherwise != nullptr) return evaluate(*node.otherwise);
  return heap_.undefined("the `if` in an expression did not hold and has no `else`");
}

Value Evaluator::value_of(const Attribute& node) {
  const uint32_t at = at_;
  const Value object = evaluate(*node.object);
  at_ = at;
  return attribute_of(heap_, object, node.name);
}

Value Evaluator::value_of(const Subscript& node) {
  const uint32_t at = at_;
  const Value object = evaluate(*node.object), key = evaluate(*node.index);
  at_ = at;
  return item_of(heap_, object, key);
}

Value Evaluator::value_of(const Slice& node) {
  const uint32_t at = at_;
  const Value object = evaluate(*node.object);
  Value bounds[3];
  const Value* given[3] = {};
  const ExprPtr* exprs[3] = {&node.begin, &node.end, &node.step};
  for (int i = 0; i < 3; ++i) {
    if (*exprs[i] == nullptr) continue;
    bounds[i] = evaluate(**exprs[i]);
    given[i] = &bounds[i];
  }
  at_ = at;
  return slice_of(heap_, object, given[0], given[1], given[2]);
}

CallArguments Evaluator::evaluate(const Arguments& arguments) {
  CallArguments out;
  for (const ExprPtr& e : arguments.positional) out.positional.push_back(evaluate(*e));
  for (const auto& [name, e] : arguments.named) out.named.emplace_back(name, evaluate(*e));
  if (arguments.star != nullptr)
    for (Value& item : elements(heap_, evaluate(*arguments.star)))
      out.positional.push_back(std::move(item));
  if (arguments.star_star != nullptr) {
    const Value named = evaluate(*arguments.star_star);
    const Dict* dict = named.get_if<Dict>();
    if (dict == nullptr) fault("'**' needs an object, got a value of type {}", type_name(named));
    for (const auto& [key, value] : dict->entries)
      out.named.emplace_back(std::string(need_text(key, "the name of an argument")), value);
  }
  return out;
}

Value Evaluator::value_of(const CallOf& node) {
  const uint32_t at = at_;
  const Value callee = evaluate(*node.callee);
  CallArguments arguments = evaluate(node.arguments);
  at_ = at;
  return call(callee, std::move(arguments));
}

Value Evaluator::apply_filter(const FilterUse& use, Value input) {
  const uint32_t at = at_;
  if (use.filter == nullptr)
    fault("there is no filter '{}'.{}", use.name, did_you_mean(use.name, filter_names()));
  CallArguments arguments = evaluate(use.arguments);
  at_ = at;
  const bool may_be_undefined = use.name == "default" || use.name == "d";
  return invoke(*this, *use.filter, may_be_undefined ? input : used(std::move(input)),
                std::move(arguments));
}

Value Evaluator::value_of(const FilterUse& node) {
  const uint32_t at = at_;
  Value input = node.input == nullptr ? *block_text_ : evaluate(*node.input);
  at_ = at;
  return apply_filter(node, std::move(input));
}

Value Evaluator::filter_block_text(const Expr& filter, Value text) {
  const Value* const outer = std::exchange(block_text_, &text);
  Value out = evaluate(filter);
  block_text_ = outer;
  return out;
}

Value Evaluator::value_of(const TestUse& node) {
  const uint32_t at = at_;
  Value input = evaluate(*node.input);
  at_ = at;
  if (node.test == nullptr)
    fault("there is no test '{}'.{}", node.name, did_you_mean(node.name, test_names()));
  CallArguments arguments = evaluate(node.arguments);
  at_ = at;
  if (node.name != "defined" && node.name != "undefined") input = used(std::move(input));
  return is_true(invoke(*this, *node.test, input, std::move(arguments))) != node.negated;
}

}  // namespace lathe::jinja
