// Numbers between bounds, digit by digit. Internal to constraint/.
#pragma once

#include <cstdint>
#include <optional>

#include "lathe/constraint/grammar_builder.h"

namespace lathe::constraint {

struct NumberLimit {
  double value = 0;
  bool exclusive = false;
};
struct NumberRange {
  std::optional<NumberLimit> low, high;
  std::optional<int> decimals = {};  // digits behind the point at most
  bool holds(double value) const;
};

// Bounds up to this size: every integer below it is a double.
inline constexpr double kLargestBound = 9007199254740992.0;

// The integers in a range, without superfluous zeros; nothing (an expression that cannot be met) if there are none.
ExprId integers_between(GrammarBuilder& builder, const NumberRange& range);
bool has_integers(const NumberRange& range);

// Numbers in a range, written without an exponent: with so many digits behind the point that a double
// tells them from the bounds.
ExprId numbers_between(GrammarBuilder& builder, const NumberRange& range);

}  // namespace lathe::constraint
