// Calls of functions, macros and recursive loops.
#include <algorithm>

#include "lathe/text/jinja/evaluator.h"
#include "lathe/text/jinja/operators.h"

namespace lathe::jinja {

Value Evaluator::call(const Value& callee, CallArguments arguments) {
  require_defined(callee);
  if (const Function* f = callee.get_if<Function>())
    return invoke(*this, f->builtin, f->self, std::move(arguments));
  if (const Macro* m = callee.get_if<Macro>()) return call_macro(*m, std::move(arguments));
  if (const Loop* loop = callee.get_if<Loop>()) {
    if (!loop->node.recursive)
      fault("only a loop with the word `recursive` can be called: {{% for … in … recursive %}}");
    if (arguments.positional.size() != 1 || !arguments.named.empty())
      fault("a loop is called with one list");
    const Deeper deeper(*this);
    std::string text;
    std::string* const outer = std::exchange(out_, &text);
    run_loop(loop->node, arguments.positional[0], loop->depth0 + 1);
    out_ = outer;
    return heap_.text(std::move(text));
  }
  fault("a value of type {} cannot be called", type_name(callee));
}

std::string Evaluator::captured(const Body& body) {
  std::string text;
  std::string* const outer = std::exchange(out_, &text);
  execute(body);
  out_ = outer;
  return text;
}

void Evaluator::bind_parameters(const Macro& macro, CallArguments arguments) {
  const MacroOf& node = macro.node;
  const size_t count = node.parameters.size();
  std::vector<Value>& given = arguments.positional;
  if (given.size() > count && !node.takes_more)
    fault("the macro '{}' takes {} arguments at most, got {}", node.name, count, given.size());
  for (size_t i = 0; i < count; ++i) {
    const Parameter& p = node.parameters[i];
    const auto named =
        std::ranges::find(arguments.named, p.name, &std::pair<std::string, Value>::first);
    if (i < given.size()) {
      scope_->set(p.name, given[i]);
    } else if (named != arguments.named.end()) {
      scope_->set(p.name, named->second);
      arguments.named.erase(named);
    } else if (p.fallback != nullptr) {
      scope_->set(p.name, evaluate(*p.fallback));
    } else {
      scope_->set(p.name, heap_.undefined(fmt::format("the parameter '{}' was not given", p.name)));
    }
  }
  Dict* rest = heap_.dict();
  bool has_caller = false;
  for (auto& [name, value] : arguments.named) {
    if (name == "caller" && node.takes_caller) {
      scope_->set("caller", value);
      has_caller = true;
    } else if (node.takes_named) {
      rest->set(heap_.text(name), value);
    } else {
      fault("the macro '{}' has no parameter '{}'", node.name, name);
    }
  }
  if (node.takes_caller && !has_caller)
    scope_->set("caller", heap_.undefined("the macro was not called by a `call` block, so there is "
                                          "no 'caller'"));
  if (node.takes_named) scope_->set("kwargs", rest);
  if (node.takes_more)
    scope_->set("varargs",
                heap_.tuple(std::vector<Value>(
                    given.begin() + static_cast<std::ptrdiff_t>(std::min(count, given.size())),
                    given.end())));
}

Value Evaluator::call_macro(const Macro& macro, CallArguments arguments) {
  const Deeper deeper(*this);
  const Within scope(*this, macro.scope);
  bind_parameters(macro, std::move(arguments));
  return heap_.text(captured(macro.node.body));
}

}  // namespace lathe::jinja
