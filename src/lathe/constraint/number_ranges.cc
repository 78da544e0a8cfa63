#include "lathe/constraint/number_ranges.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace lathe::constraint {
namespace {

constexpr int kWholeDigits = 15, kSignificant = 15;

// The bounds of the integers in a range.
struct IntegerRange {
  std::optional<int64_t> low, high;
};
IntegerRange integers_of(const NumberRange& range) {
  IntegerRange out;
  if (range.low) {
    const double up = std::ceil(range.low->value);
    out.low = static_cast<int64_t>(up) + (range.low->exclusive && up == range.low->value ? 1 : 0);
  }
  if (range.high) {
    const double down = std::floor(range.high->value);
    out.high =
        static_cast<int64_t>(down) - (range.high->exclusive && down == range.high->value ? 1 : 0);
  }
  return out;
}

// A number that is not negative, as its digits.
struct Decimal {
  uint64_t whole = 0;
  std::string fraction;  // without zeros at the end
};
Decimal decimal_of(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find('e') != std::string::npos) text = fmt::format("{:.20f}", value);
  Decimal out;
  const size_t point = std::min(text.find('.'), text.size());
  out.whole = std::stoull(text.substr(0, point));
  if (point < text.size()) out.fraction = text.substr(point + 1);
  while (out.fraction.ends_with('0')) out.fraction.pop_back();
  return out;
}

struct Bound {
  Decimal value;
  bool exclusive = false;
};

class Ranges {
 public:
  explicit Ranges(GrammarBuilder& builder, int decimals = 0)
      : b_(builder), decimals_(static_cast<uint32_t>(decimals)) {}

  ExprId never() { return b_.choice({}); }

  // From `low` to `high`, or without end; no zeros in front.
  ExprId whole(uint64_t low, std::optional<uint64_t> high) {
    std::vector<ExprId> ways;
    uint64_t first = 0, last = 9;  // of the numbers of so many digits
    for (int digits = 1; digits <= 19; ++digits) {
      const uint64_t from = std::max(low, first), to = high ? std::min(*high, last) : last;
      if (from <= to) ways.push_back(digits_between(from, to, digits));
      if (high ? *high <= last : digits > kWholeDigits) break;
      first = last + 1;
      last = last * 10 + 9;
    }
    return b_.choice(std::move(ways));
  }

  ExprId magnitudes(const Bound& low, const std::optional<Bound>& high) {
    const uint64_t a = low.value.whole;
    if (high && high->value.whole < a) return never();
    if (high && high->value.whole == a)
      return b_.sequence({b_.text(std::to_string(a)), between(low, *high)});
    std::vector<ExprId> ways = {b_.sequence({b_.text(std::to_string(a)), at_least(low)})};
    if (!high) {
      ways.push_back(b_.sequence({whole(a + 1, std::nullopt), any_fraction()}));
      return b_.choice(std::move(ways));
    }
    const uint64_t z = high->value.whole;
    if (z > a + 1) ways.push_back(b_.sequence({whole(a + 1, z - 1), any_fraction()}));
    ways.push_back(b_.sequence({b_.text(std::to_string(z)), at_most(*high)}));
    return b_.choice(std::move(ways));
  }

 private:
  ExprId digits_between(uint64_t low, uint64_t high, int digits) {
    std::vector<ByteRanges> sequences = digit_sequences(low, high, digits, 10);
    for (ByteRanges& s : sequences)
      for (ByteRange& r : s)
        r = {static_cast<uint8_t>('0' + r.low), static_cast<uint8_t>('0' + r.high)};
    return b_.bytes(std::move(sequences));
  }

  ExprId digit(int low, int high) {
    if (low > high) return never();
    return b_.bytes({{{static_cast<uint8_t>('0' + low), static_cast<uint8_t>('0' + high)}}});
  }
  // Up to so many digits as a number may still have behind the `used` ones.
  ExprId any_digits(size_t used) {
    return b_.repeat(digit(0, 9), 0,
                     decimals_ > used ? decimals_ - static_cast<uint32_t>(used) : 0);
  }
  ExprId zeros(size_t used, uint32_t min) {
    if (used + min > decimals_) return min == 0 ? b_.nothing() : never();
    return b_.repeat(digit(0, 0), min, decimals_ - static_cast<uint32_t>(used));
  }
  ExprId point(ExprId digits) { return b_.sequence({b_.text("."), digits}); }
  ExprId any_fraction() {
    if (decimals_ == 0) return b_.nothing();
    return b_.optional(point(b_.repeat(digit(0, 9), 1, decimals_)));
  }

  // Behind `at` digits that equal those of the bound: digits, maybe none, that make the number no
  // smaller than it.
  ExprId digits_at_least(const Bound& bound, size_t at) {
    const std::string& f = bound.value.fraction;
    if (at >= decimals_) return at >= f.size() && !bound.exclusive ? b_.nothing() : never();
    if (at >= f.size()) {
      if (!bound.exclusive) return any_digits(at);
      return b_.choice({b_.sequence({digit(1, 9), any_digits(at + 1)}),
                        b_.sequence({digit(0, 0), digits_at_least(bound, at + 1)})});
    }
    const int d = f[at] - '0';
    return b_.choice({b_.sequence({digit(d + 1, 9), any_digits(at + 1)}),
                      b_.sequence({digit(d, d), digits_at_least(bound, at + 1)})});
  }

  // The same, no larger.
  ExprId digits_at_most(const Bound& bound, size_t at) {
    const std::string& f = bound.value.fraction;
    if (at >= f.size()) return bound.exclusive ? never() : zeros(at, 0);
    if (at >= decimals_) return b_.nothing();
    const int d = f[at] - '0';
    return b_.choice({b_.nothing(), b_.sequence({digit(0, d - 1), any_digits(at + 1)}),
                      b_.sequence({digit(d, d), digits_at_most(bound, at + 1)})});
  }

  ExprId at_least(const Bound& bound) {
    if (bound.value.fraction.empty() && !bound.exclusive) return any_fraction();
    return point(digits_at_least(bound, 0));
  }

  ExprId at_most(const Bound& bound) {
    const std::string& f = bound.value.fraction;
    if (f.empty()) return bound.exclusive ? never() : b_.choice({b_.nothing(), point(zeros(0, 1))});
    const int d = f[0] - '0';
    return b_.choice({b_.nothing(), point(b_.sequence({digit(0, d - 1), any_digits(1)})),
                      point(b_.sequence({digit(d, d), digits_at_most(bound, 1)}))});
  }

  // Both bounds have the same whole part.
  ExprId between(const Bound& low, const Bound& high) {
    std::vector<ExprId> ways;
    const bool low_is_whole = low.value.fraction.empty(),
               high_is_whole = high.value.fraction.empty();
    if (low_is_whole && !low.exclusive && !(high_is_whole && high.exclusive))
      ways.push_back(b_.nothing());
    ways.push_back(point(digits_between(low, high, 0, true)));
    return b_.choice(std::move(ways));
  }

  // `first`: a digit must come.
  ExprId digits_between(const Bound& low, const Bound& high, size_t at, bool first) {
    const std::string &f = low.value.fraction, &g = high.value.fraction;
    if (at >= f.size() && at >= g.size())
      return low.exclusive || high.exclusive ? never() : zeros(at, first ? 1 : 0);
    if (at >= decimals_) return at >= f.size() && !low.exclusive && !first ? b_.nothing() : never();
    const int d = at < f.size() ? f[at] - '0' : 0, e = at < g.size() ? g[at] - '0' : 0;
    std::vector<ExprId> ways;
    if (at >= f.size() && !low.exclusive && !first) ways.push_back(b_.nothing());
    if (d == e) {
      ways.push_back(b_.sequence({digit(d, d), digits_between(low, high, at + 1, false)}));
    } else if (d < e) {
      ways.push_back(b_.sequence({digit(d, d), digits_at_least(low, at + 1)}));
      ways.push_back(b_.sequence({digit(d + 1, e - 1), any_digits(at + 1)}));
      ways.push_back(b_.sequence({digit(e, e), digits_at_most(high, at + 1)}));
    }
    return b_.choice(std::move(ways));
  }

  GrammarBuilder& b_;
  const uint32_t decimals_;
};

// As many digits behind the point as a double can tell apart from every bound.
int decimals_told_apart(const NumberRange& range) {
  double largest = 1;
  for (const auto& limit : {range.low, range.high})
    if (limit) largest = std::max(largest, std::abs(limit->value));
  return kSignificant - static_cast<int>(std::to_string(static_cast<uint64_t>(largest)).size());
}

// Those, and enough for every bound.
int decimals_for(const NumberRange& range) {
  if (range.decimals) return *range.decimals;
  int most = decimals_told_apart(range);
  for (const auto& limit : {range.low, range.high})
    if (limit)
      most = std::max(most, static_cast<int>(decimal_of(std::abs(limit->value)).fraction.size()));
  return most;
}

// With more digits than a double tells apart, a text beside an exclusive bound may be the bound itself:
// then the next double is the first that is not.
NumberRange with_next_doubles(NumberRange range) {
  if (decimals_for(range) <= decimals_told_apart(range)) return range;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (range.low && range.low->exclusive)
    range.low = NumberLimit{std::nextafter(range.low->value, kInfinity), false};
  if (range.high && range.high->exclusive)
    range.high = NumberLimit{std::nextafter(range.high->value, -kInfinity), false};
  return range;
}

std::optional<Bound> magnitude(const std::optional<NumberLimit>& limit) {
  if (!limit) return std::nullopt;
  return Bound{decimal_of(std::abs(limit->value)), limit->exclusive};
}

}  // namespace

bool NumberRange::holds(double value) const {
  if (low && (low->exclusive ? value <= low->value : value < low->value)) return false;
  return !high || (high->exclusive ? value < high->value : value <= high->value);
}

bool has_integers(const NumberRange& range) {
  const IntegerRange r = integers_of(range);
  return !r.low || !r.high || *r.low <= *r.high;
}

ExprId integers_between(GrammarBuilder& builder, const NumberRange& range) {
  const IntegerRange r = integers_of(range);
  Ranges ranges(builder);
  std::vector<ExprId> ways;
  const auto size = [](int64_t v) { return static_cast<uint64_t>(v < 0 ? -v : v); };
  if (!r.low || *r.low < 0) {
    const uint64_t nearest = r.high && *r.high < 0 ? size(*r.high) : 1;
    const auto farthest = r.low ? std::optional(size(*r.low)) : std::nullopt;
    if (!farthest || nearest <= *farthest)
      ways.push_back(builder.sequence({builder.text("-"), ranges.whole(nearest, farthest)}));
  }
  if (!r.high || *r.high >= 0) {
    const uint64_t low = r.low && *r.low > 0 ? size(*r.low) : 0;
    const auto high = r.high ? std::optional(size(*r.high)) : std::nullopt;
    if (!high || low <= *high) ways.push_back(ranges.whole(low, high));
  }
  return builder.choice(std::move(ways));
}

ExprId numbers_between(GrammarBuilder& builder, const NumberRange& wanted) {
  const NumberRange range = with_next_doubles(wanted);
  Ranges ranges(builder, decimals_for(range));
  std::vector<ExprId> ways;
  const bool has_negative = !range.low || range.low->value < 0;
  const bool has_positive = !range.high || range.high->value >= 0;
  if (has_negative) {
    const bool below = range.high && range.high->value <= 0;
    const Bound nearest = below ? *magnitude(range.high) : Bound{{0, ""}, true};
    ways.push_back(
        builder.sequence({builder.text("-"), ranges.magnitudes(nearest, magnitude(range.low))}));
  }
  if (has_positive) {
    const bool above = range.low && range.low->value >= 0;
    ways.push_back(
        ranges.magnitudes(above ? *magnitude(range.low) : Bound{}, magnitude(range.high)));
  }
  return builder.choice(std::move(ways));
}

}  // namespace lathe::constraint
