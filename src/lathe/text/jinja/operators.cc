#include "lathe/text/jinja/operators.h"

#include <cmath>

#include "lathe/text/jinja/characters.h"

namespace lathe::jinja {
namespace {

std::string_view sign_of(BinaryOp op) {
  constexpr std::string_view kSigns[] = {"and", "or", "+", "-", "*", "/", "//", "%", "**"};
  return kSigns[static_cast<size_t>(op)];
}

[[noreturn]] void fail_types(std::string_view op, const Value& a, const Value& b) {
  fault("'{}' cannot be applied to values of types {} and {}", op, type_name(a), type_name(b));
}

[[noreturn]] void fail_large(std::string_view op) {
  fault("the result of '{}' is larger than 128 bits", op);
}

void require_divisor(bool is_zero) {
  if (is_zero) fault("division by zero");
}

Int floor_divide(Int a, Int b) {
  require_divisor(b == 0);
  const Int quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

Int int_power(Int base, Int exponent) {
  Int result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) fail_large("**");
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) fail_large("**");
  }
  return result;
}

Value int_arithmetic(BinaryOp op, Int a, Int b) {
  Int result = 0;
  bool large = false;
  switch (op) {
    case BinaryOp::kAdd:
      large = __builtin_add_overflow(a, b, &result);
      break;
    case BinaryOp::kSubtract:
      large = __builtin_sub_overflow(a, b, &result);
      break;
    case BinaryOp::kMultiply:
      large = __builtin_mul_overflow(a, b, &result);
      break;
    case BinaryOp::kDivide:
      require_divisor(b == 0);
      return static_cast<double>(a) / static_cast<double>(b);
    case BinaryOp::kFloorDivide:
      if (b == -1) return int_arithmetic(BinaryOp::kSubtract, 0, a);
      return floor_divide(a, b);
    case BinaryOp::kModulo:
      if (b == -1) return Int{0};
      return a - floor_divide(a, b) * b;
    default:
      if (b < 0) {
        require_divisor(a == 0);
        return std::pow(static_cast<double>(a), static_cast<double>(b));
      }
      return int_power(a, b);
  }
  if (large) fail_large(sign_of(op));
  return result;
}

double float_modulo(double a, double b) {
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : std::copysign(rest, b);
}

Value float_arithmetic(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd:
      return a + b;
    case BinaryOp::kSubtract:
      return a - b;
    case BinaryOp::kMultiply:
      return a * b;
    case BinaryOp::kDivide:
      require_divisor(b == 0);
      return a / b;
    case BinaryOp::kFloorDivide:
      require_divisor(b == 0);
      return std::floor((a - float_modulo(a, b)) / b + 0.5);
    case BinaryOp::kModulo:
      require_divisor(b == 0);
      return float_modulo(a, b);
    default:
      require_divisor(a == 0 && b < 0);
      if (a < 0 && b != std::floor(b)) fault("this power is not a real number");
      return std::pow(a, b);
  }
}

Value joined_texts(Heap& heap, const Value& a, const Value& b) {
  const bool safe = a.is_safe_text() || b.is_safe_text();
  heap.require_room(a.text().size() + b.text().size());
  if (!safe) return heap.text(fmt::format("{}{}", a.text(), b.text()));
  const auto part = [](const Value& v) {
    return v.is_safe_text() ? std::string(v.text()) : escaped(v.text());
  };
  return heap.text(part(a) + part(b), true);
}

Value joined_sequences(Heap& heap, const Sequence& a, const Sequence& b) {
  std::vector<Value> items = a.items;
  heap.charge((a.items.size() + b.items.size()) * sizeof(Value));
  items.insert(items.end(), b.items.begin(), b.items.end());
  return heap.sequence(a.form, std::move(items));
}

Value repeated(Heap& heap, const Value& value, Int times) {
  times = times < 0 ? 0 : times;
  if (value.is_text()) {
    const auto size = static_cast<Int>(value.text().size());
    if (size > 0 && times > static_cast<Int>(heap.limits().output) / size)
      heap.require_room(SIZE_MAX);
    std::string out;
    if (size > 0)
      for (Int i = 0; i < times; ++i) out += value.text();
    return heap.text(std::move(out), value.text_data().safe);
  }
  const Sequence& s = *value.get_if<Sequence>();
  const auto size = static_cast<Int>(s.items.size());
  if (size > 0 && times > kMaxRange * 10 / size) heap.require_room(SIZE_MAX);
  std::vector<Value> items;
  if (size > 0)
    for (Int i = 0; i < times; ++i) items.insert(items.end(), s.items.begin(), s.items.end());
  return heap.sequence(s.form, std::move(items));
}

bool repeats(const Value& value) {
  const Sequence* s = value.get_if<Sequence>();
  return value.is_text() || (s != nullptr && s->has_index());
}

bool contains_in_range(const Range& range, const Value& part) {
  if (!part.is_int()) return false;
  Int offset = 0;
  if (__builtin_sub_overflow(part.integer(), range.begin, &offset)) return false;
  return offset % range.step == 0 && offset / range.step >= 0 &&
         offset / range.step < range.count();
}

}  // namespace

void require_defined(const Value& value) {
  if (const Undefined* u = value.get_if<Undefined>()) fault("{}", *u->why);
}

Int truncated(double value) {
  if (!(std::abs(value) < 1e38)) fault("{} is no integer that could be held", float_text(value));
  return static_cast<Int>(value);
}

Value negative(const Value& value) {
  require_defined(value);
  if (value.is_int()) return int_arithmetic(BinaryOp::kSubtract, 0, value.integer());
  if (value.is_float()) return -value.number();
  fault("'-' cannot be applied to a value of type {}", type_name(value));
}

Value positive(const Value& value) {
  require_defined(value);
  if (value.is_int()) return value.integer();
  if (value.is_float()) return value;
  fault("'+' cannot be applied to a value of type {}", type_name(value));
}

Value arithmetic(Heap& heap, BinaryOp op, const Value& a, const Value& b) {
  if (op == BinaryOp::kModulo && a.is_text())
    return heap.text(percent_format(heap, a, b), a.is_safe_text());
  require_defined(a);
  require_defined(b);
  if (a.is_int() && b.is_int()) return int_arithmetic(op, a.integer(), b.integer());
  if (a.is_number() && b.is_number()) return float_arithmetic(op, a.number(), b.number());
  if (op == BinaryOp::kAdd) {
    if (a.is_text() && b.is_text()) return joined_texts(heap, a, b);
    const Sequence *x = a.get_if<Sequence>(), *y = b.get_if<Sequence>();
    if (x && y && x->form == y->form && x->has_index()) return joined_sequences(heap, *x, *y);
  }
  if (op == BinaryOp::kMultiply) {
    if (repeats(a) && b.is_int()) return repeated(heap, a, b.integer());
    if (repeats(b) && a.is_int()) return repeated(heap, b, a.integer());
  }
  fail_types(sign_of(op), a, b);
}

bool contains(Heap& heap, const Value& whole, const Value& part) {
  if (whole.is_text()) {
    if (!part.is_text())
      fault("only a text can be in a text, and this is a value of type {}", type_name(part));
    heap.charge(whole.text().size());
    return whole.text().find(part.text()) != std::string_view::npos;
  }
  if (const Dict* dict = whole.get_if<Dict>()) return dict->find(part) != nullptr;
  if (const Range* range = whole.get_if<Range>()) return contains_in_range(*range, part);
  if (!is_iterable(whole))
    fault("nothing can be in a value of type {}; expected a text, a list or an object",
          type_name(whole));
  for (const Value& item : elements(heap, whole))
    if (equal(heap, item, part)) return true;
  return false;
}

bool holds(Heap& heap, CompareOp op, const Value& a, const Value& b) {
  switch (op) {
    case CompareOp::kEqual:
      return equal(heap, a, b);
    case CompareOp::kNotEqual:
      return !equal(heap, a, b);
    case CompareOp::kIn:
      return contains(heap, b, a);
    case CompareOp::kNotIn:
      return !contains(heap, b, a);
    default:
      break;
  }
  require_defined(a);
  require_defined(b);
  if ((a.is_float() && std::isnan(a.number())) || (b.is_float() && std::isnan(b.number())))
    return false;
  const int order = compare(heap, a, b);
  switch (op) {
    case CompareOp::kLess:
      return order < 0;
    case CompareOp::kLessEqual:
      return order <= 0;
    case CompareOp::kGreater:
      return order > 0;
    default:
      return order >= 0;
  }
}

}  // namespace lathe::jinja
