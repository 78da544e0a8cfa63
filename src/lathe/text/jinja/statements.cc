// What statements do.
#include "lathe/base/utf8.h"
#include "lathe/text/jinja/evaluator.h"
#include "lathe/text/jinja/globals.h"
#include "lathe/text/jinja/operators.h"

namespace lathe::jinja {

std::string Evaluator::run(std::span<const Statement> body) {
  execute(body);
  return std::move(root_);
}

void Evaluator::write(std::string_view text) {
  heap_.require_room(out_->size() + text.size());
  heap_.charge(text.size());
  out_->append(text);
}

Evaluator::Flow Evaluator::execute(std::span<const Statement> body) {
  for (const Statement& statement : body) {
    const Deeper deeper(*this);
    at_ = statement.at;
    const Flow flow =
        std::visit([this](const auto& node) { return execute(node); }, statement.node);
    if (flow != Flow::kOn) return flow;
  }
  return Flow::kOn;
}

Evaluator::Flow Evaluator::execute(const Print& node) {
  const Value value = used(evaluate(*node.value));
  at_ = node.value->at;
  write(to_text(heap_, value));
  return Flow::kOn;
}

Evaluator::Flow Evaluator::execute(const Data& node) {
  write(node.text);
  return Flow::kOn;
}

Evaluator::Flow Evaluator::execute(const If& node) {
  for (const auto& [condition, body] : node.branches)
    if (truth(*condition)) return execute(body);
  return execute(node.otherwise);
}

Evaluator::Flow Evaluator::execute(const For& node) {
  const uint32_t at = at_;
  const Value iterable = used(evaluate(*node.iterable));
  at_ = at;
  run_loop(node, iterable, 0);
  return Flow::kOn;
}

// The elements for which the condition of the loop holds.
std::vector<Value> Evaluator::loop_items(const For& node, const Value& iterable) {
  std::vector<Value> all = elements(heap_, iterable);
  if (node.condition == nullptr) return all;
  std::vector<Value> kept;
  for (Value& item : all) {
    const Within scope(*this);
    assign(node.target, item);
    if (truth(*node.condition)) kept.push_back(std::move(item));
  }
  return kept;
}

Evaluator::Flow Evaluator::run_loop(const For& node, const Value& iterable, int depth) {
  Loop* loop = heap_.make<Loop>(node, loop_items(node, iterable), depth);
  bool completed = false;  // one round, which is what Jinja's `else` asks for
  for (; loop->index0 < loop->items.size(); ++loop->index0) {
    heap_.step();
    const Within scope(*this);
    scope_->set("loop", loop);
    assign(node.target, loop->items[loop->index0]);
    const Flow flow = execute(node.body);
    if (flow == Flow::kBreak) break;
    completed = completed || flow == Flow::kOn;
  }
  if (completed) return Flow::kOn;
  const Within scope(*this);
  return execute(node.otherwise);
}

void Evaluator::assign(const Target& target, const Value& value) {
  if (!target.parts.empty()) {
    if (value.is_undefined()) require_defined(value);
    const std::vector<Value> items = elements(heap_, value);
    if (items.size() != target.parts.size())
      fault("{} values cannot be set to {} names", items.size(), target.parts.size());
    for (size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i]);
  } else if (target.attribute.empty()) {
    scope_->set(target.name, value);
  } else {
    const Value* owner = scope_->find(target.name);
    Namespace* ns = owner == nullptr ? nullptr : owner->object<Namespace>();
    if (ns == nullptr)
      fault(
          "'{}' is not a namespace, and only these have attributes that can be set; make one with "
          "{{% set {} = namespace() %}}",
          target.name, target.name);
    require_namespace_name(target.attribute);
    heap_.charge(sizeof(Value));
    ns->attributes.set(heap_.text(target.attribute), value);
  }
}

Evaluator::Flow Evaluator::execute(const Set& node) {
  const uint32_t at = at_;
  const Value value = evaluate(*node.value);
  at_ = at;
  assign(node.target, value);
  return Flow::kOn;
}

Evaluator::Flow Evaluator::execute(const SetBlock& node) {
  Value text;
  Flow flow = Flow::kOn;
  {
    const Within scope(*this);
    std::string caught;
    std::string* const outer = std::exchange(out_, &caught);
    flow = execute(node.body);
    out_ = outer;
    if (flow != Flow::kOn) return flow;
    text = heap_.text(std::move(caught));
    if (node.filter != nullptr) text = filter_block_text(*node.filter, text);
  }
  assign(node.target, text);
  return Flow::kOn;
}

Evaluator::Flow Evaluator::execute(const MacroOf& node) {
  scope_->set(node.name, heap_.make<Macro>(node, scope_));
  return Flow::kOn;
}

Evaluator::Flow Evaluator::execute(const CallBlock& node) {
  const auto& call_node = std::get<CallOf>(node.call->node);
  const Value callee = evaluate(*call_node.callee);
  CallArguments arguments = evaluate(call_node.arguments);
  arguments.named.emplace_back("caller", heap_.make<Macro>(node.caller, scope_));
  at_ = node.call->at;
  write(to_text(heap_, call(callee, std::move(arguments))));
  return Flow::kOn;
}

Evaluator::Flow Evaluator::execute(const FilterBlock& node) {
  const Within scope(*this);
  std::string caught;
  std::string* const outer = std::exchange(out_, &caught);
  const Flow flow = execute(node.body);
  out_ = outer;
  if (flow != Flow::kOn) return flow;
  write(to_text(heap_, filter_block_text(*node.filter, heap_.text(std::move(caught)))));
  return Flow::kOn;
}

Evaluator::Flow Evaluator::execute(const With& node) {
  std::vector<Value> values;
  for (const auto& variable : node.variables) values.push_back(evaluate(*variable.second));
  const Within scope(*this);
  for (size_t i = 0; i < values.size(); ++i) assign(node.variables[i].first, values[i]);
  return execute(node.body);
}

Evaluator::Flow Evaluator::execute(const Generation& node) {
  const auto begin = static_cast<size_t>(count_characters(root_));
  std::string text;
  {
    const Within scope(*this);
    text = captured(node.body);
  }
  heap_.charge(root_.size());
  generations_.push_back({begin, begin + static_cast<size_t>(count_characters(text))});
  write(text);
  return Flow::kOn;
}

Evaluator::Flow Evaluator::execute(const Break&) { return Flow::kBreak; }
Evaluator::Flow Evaluator::execute(const Continue&) { return Flow::kContinue; }

}  // namespace lathe::jinja
