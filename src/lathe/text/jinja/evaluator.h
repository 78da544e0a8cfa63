// Runs a parsed template on variables.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/jinja/loop.h"
#include "lathe/text/jinja/runtime.h"
#include "lathe/text/jinja/scope.h"
#include "lathe/text/jinja/syntax.h"

namespace lathe::jinja {

struct Macro : Object {
  static constexpr ObjectKind kKind = ObjectKind::kMacro;
  Macro(const MacroOf& n, std::shared_ptr<Scope> s) : Object(kKind), node(n), scope(std::move(s)) {}
  const MacroOf& node;
  const std::shared_ptr<Scope> scope;  // where it was defined
};

// Characters of the output, as Jinja's extension of transformers counts them.
struct CharacterSpan {
  size_t begin = 0, end = 0;
};

class Evaluator : public Runtime {
 public:
  Evaluator(Heap& heap, bool strict, std::function<std::tm()> clock)
      : heap_(heap), strict_(strict), clock_(std::move(clock)) {}

  void set_variable(std::string_view name, Value value) { scope_->set(name, std::move(value)); }

  // What the statements write.
  std::string run(std::span<const Statement> body);
  Value evaluate(const Expr& expr);
  // The byte of the template that is worked on, for errors.
  uint32_t at() const { return at_; }
  const std::vector<CharacterSpan>& generations() const { return generations_; }

  Heap& heap() override { return heap_; }
  Value call(const Value& callee, CallArguments arguments) override;
  std::tm now() const override { return clock_(); }

 private:
  enum class Flow { kOn, kBreak, kContinue };
  class Deeper;
  class Within;

  // expressions.cc
  Value value_of(const Literal&), value_of(const Name&), value_of(const ListOf&);
  Value value_of(const DictOf&), value_of(const Unary&), value_of(const Binary&);
  Value value_of(const Comparison&), value_of(const Concatenation&), value_of(const Choice&);
  Value value_of(const Attribute&), value_of(const Subscript&), value_of(const Slice&);
  Value value_of(const CallOf&), value_of(const FilterUse&), value_of(const TestUse&);
  Value used(Value value) const;  // which may not be undefined in strict mode
  bool truth(const Expr& expr) { return is_true(used(evaluate(expr))); }
  CallArguments evaluate(const Arguments& arguments);
  Value apply_filter(const FilterUse& use, Value input);
  // A filter of a block, whose innermost input is the block's text.
  Value filter_block_text(const Expr& filter, Value text);

  // calls.cc
  Value call_macro(const Macro& macro, CallArguments arguments);
  void bind_parameters(const Macro& macro, CallArguments arguments);
  std::string captured(const Body& body);

  // statements.cc
  Flow execute(std::span<const Statement> body);
  Flow execute(const Print&), execute(const Data&), execute(const If&), execute(const For&);
  Flow execute(const Set&), execute(const SetBlock&), execute(const MacroOf&);
  Flow execute(const CallBlock&), execute(const FilterBlock&), execute(const With&);
  Flow execute(const Generation&), execute(const Break&), execute(const Continue&);
  std::vector<Value> loop_items(const For& node, const Value& iterable);
  Flow run_loop(const For& node, const Value& iterable, int depth);
  void assign(const Target& target, const Value& value);
  void write(std::string_view text);

  Heap& heap_;
  const bool strict_;
  const std::function<std::tm()> clock_;
  std::shared_ptr<Scope> scope_ = std::make_shared<Scope>(nullptr);
  std::string root_;           // what stands outside of macros and blocks that are caught
  std::string* out_ = &root_;  // where the present body writes
  uint32_t at_ = 0;
  int depth_ = 0;
  const Value* block_text_ = nullptr;
  std::vector<CharacterSpan> generations_;
};

// One level further down; faults at the limit.
class Evaluator::Deeper {
 public:
  explicit Deeper(Evaluator& e) : e_(e) {
    if (e_.depth_ >= e_.heap_.limits().depth)
      fault(
          "the template goes deeper than {} calls and blocks; look for a macro that calls itself "
          "without end",
          e_.heap_.limits().depth);
    ++e_.depth_;
    e_.heap_.step();
  }
  ~Deeper() { --e_.depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  Evaluator& e_;
};

// Works in a scope of its own until the end of the block.
class Evaluator::Within {
 public:
  Within(Evaluator& e, const std::shared_ptr<Scope>& outer)
      : e_(e), before_(std::exchange(e.scope_, std::make_shared<Scope>(outer))) {}
  explicit Within(Evaluator& e) : Within(e, e.scope_) {}
  ~Within() { e_.scope_ = std::move(before_); }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;

 private:
  Evaluator& e_;
  std::shared_ptr<Scope> before_;
};

}  // namespace lathe::jinja
