// Python's operators on values. All fault for types that they have no meaning for.
#pragma once

#include "lathe/text/jinja/syntax.h"
#include "lathe/text/jinja/value.h"

namespace lathe::jinja {

Value negative(const Value& value);
Value positive(const Value& value);
Value arithmetic(Heap& heap, BinaryOp op, const Value& a, const Value& b);
bool holds(Heap& heap, CompareOp op, const Value& a, const Value& b);
bool contains(Heap& heap, const Value& whole, const Value& part);

// Raises, naming the variable, if a value is undefined.
void require_defined(const Value& value);

// format % values, as Python formats texts.
std::string percent_format(Heap& heap, const Value& format, const Value& values);

// The integer that a number is without its part behind the point; faults if it is too large.
Int truncated(double value);

}  // namespace lathe::jinja
