#include "lathe/text/jinja/tests.h"

#include <algorithm>
#include <array>

#include "lathe/text/jinja/filters.h"
#include "lathe/text/jinja/methods.h"
#include "lathe/text/jinja/operators.h"
#include "lathe/text/jinja/runtime.h"

namespace lathe::jinja {
namespace {

Value defined(Invocation& call) { return !call.self.is_undefined(); }
Value undefined(Invocation& call) { return call.self.is_undefined(); }
Value none(Invocation& call) { return call.self.is_none(); }
Value boolean(Invocation& call) { return call.self.is_bool(); }
Value is_the_true(Invocation& call) { return call.self.is_bool() && is_true(call.self); }
Value is_the_false(Invocation& call) { return call.self.is_bool() && !is_true(call.self); }
Value integer(Invocation& call) { return call.self.is_int() && !call.self.is_bool(); }
Value floating(Invocation& call) { return call.self.is_float(); }
Value number(Invocation& call) { return call.self.is_number(); }
Value string(Invocation& call) { return call.self.is_text(); }
Value mapping(Invocation& call) { return call.self.get_if<Dict>() != nullptr; }
Value iterable(Invocation& call) { return is_iterable(call.self); }
Value escaped(Invocation& call) { return call.self.is_safe_text(); }
Value sameas(Invocation& call) { return call.self.is_same_object(call.at(0)); }
Value in(Invocation& call) { return contains(call.heap, call.at(0), call.self); }

// What has a length and an index; an undefined value passes, as in Jinja.
Value sequence(Invocation& call) {
  const Sequence* s = call.self.get_if<Sequence>();
  return is_iterable(call.self) && (s == nullptr || s->has_index());
}

Value callable(Invocation& call) {
  if (!call.self.is_object()) return call.self.is_undefined();
  return !is_iterable(call.self) && call.self.get_if<Namespace>() == nullptr &&
         call.self.get_if<Cycler>() == nullptr;
}

bool is_divisible(Invocation& call, const Value& divisor) {
  if (!call.self.is_number() && !call.self.is_undefined())
    fault("only numbers are even, odd or divisible, not a value of type {}", type_name(call.self));
  return equal(call.heap, arithmetic(call.heap, BinaryOp::kModulo, call.self, divisor), 0);
}
Value divisibleby(Invocation& call) { return is_divisible(call, call.at(0)); }
Value even(Invocation& call) { return is_divisible(call, 2); }
// Neither for 1.5.
Value odd(Invocation& call) {
  return !is_divisible(call, 2) &&
         equal(call.heap, arithmetic(call.heap, BinaryOp::kModulo, call.self, 2), 1);
}

template <CompareOp op>
Value compared(Invocation& call) {
  return holds(call.heap, op, call.self, call.at(0));
}

Value in_case(Invocation& call, std::string_view method) {
  const Value text = as_text(call.heap, call.self);
  return invoke(call.runtime, *find_text_method(method), text, {});
}
Value lower(Invocation& call) { return in_case(call, "islower"); }
Value upper(Invocation& call) { return in_case(call, "isupper"); }

Value is_filter(Invocation& call) {
  return call.self.is_text() && find_filter(call.self.text()) != nullptr;
}
Value is_test(Invocation& call) {
  return call.self.is_text() && find_test(call.self.text()) != nullptr;
}

constexpr std::array kTests = {
    Builtin{"!=", "other", compared<CompareOp::kNotEqual>},
    Builtin{"<", "other", compared<CompareOp::kLess>},
    Builtin{"<=", "other", compared<CompareOp::kLessEqual>},
    Builtin{"==", "other", compared<CompareOp::kEqual>},
    Builtin{">", "other", compared<CompareOp::kGreater>},
    Builtin{">=", "other", compared<CompareOp::kGreaterEqual>},
    Builtin{"boolean", "", boolean},
    Builtin{"callable", "", callable},
    Builtin{"defined", "", defined},
    Builtin{"divisibleby", "num", divisibleby},
    Builtin{"eq", "other", compared<CompareOp::kEqual>},
    Builtin{"equalto", "other", compared<CompareOp::kEqual>},
    Builtin{"escaped", "", escaped},
    Builtin{"even", "", even},
    Builtin{"false", "", is_the_false},
    Builtin{"filter", "", is_filter},
    Builtin{"float", "", floating},
    Builtin{"ge", "other", compared<CompareOp::kGreaterEqual>},
    Builtin{"greaterthan", "other", compared<CompareOp::kGreater>},
    Builtin{"gt", "other", compared<CompareOp::kGreater>},
    Builtin{"in", "seq", in},
    Builtin{"integer", "", integer},
    Builtin{"iterable", "", iterable},
    Builtin{"le", "other", compared<CompareOp::kLessEqual>},
    Builtin{"lessthan", "other", compared<CompareOp::kLess>},
    Builtin{"lower", "", lower},
    Builtin{"lt", "other", compared<CompareOp::kLess>},
    Builtin{"mapping", "", mapping},
    Builtin{"ne", "other", compared<CompareOp::kNotEqual>},
    Builtin{"none", "", none},
    Builtin{"number", "", number},
    Builtin{"odd", "", odd},
    Builtin{"sameas", "other", sameas},
    Builtin{"sequence", "", sequence},
    Builtin{"string", "", string},
    Builtin{"test", "", is_test},
    Builtin{"true", "", is_the_true},
    Builtin{"undefined", "", undefined},
    Builtin{"upper", "", upper},
};

}  // namespace

const Builtin* find_test(std::string_view name) {
  const auto found = std::ranges::find(kTests, name, &Builtin::name);
  return found == kTests.end() ? nullptr : &*found;
}

std::vector<std::string> test_names() {
  std::vector<std::string> names;
  for (const Builtin& test : kTests) names.emplace_back(test.name);
  return names;
}

}  // namespace lathe::jinja
