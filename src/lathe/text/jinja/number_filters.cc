// Filters that make a number of a value.
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "lathe/text/jinja/characters.h"
#include "lathe/text/jinja/filters.h"
#include "lathe/text/jinja/operators.h"
#include "lathe/text/jinja/runtime.h"

namespace lathe::jinja {
namespace {

// Digits as Python's int() takes them: blanks around, a sign, single underscores between digits.
std::string clean_digits(std::string_view text) {
  text = strip_right(strip_left(text));
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool between = i > 0 && i + 1 < text.size() && text[i - 1] != '_' && text[i + 1] != '_';
    if (text[i] != '_' || !between) out += text[i];
  }
  return out;
}

std::optional<Int> parse_int(std::string_view text, int64_t base) {
  std::string digits = clean_digits(text);
  const bool minus = digits.starts_with('-');
  if (minus || digits.starts_with('+')) digits.erase(0, 1);
  constexpr std::pair<std::string_view, int> kPrefixes[] = {{"0x", 16}, {"0o", 8}, {"0b", 2}};
  for (const auto& [prefix, radix] : kPrefixes)
    if (base == radix && digits.starts_with(prefix)) digits.erase(0, 2);
  if (digits.empty()) return std::nullopt;
  Int value = 0;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9' ? c - '0'
                      : (c | 0x20) >= 'a'  ? (c | 0x20) - 'a' + 10
                                           : 99;
    if (digit >= base) return std::nullopt;
    if (value > (Int{1} << 120) / base) fault("the number '{}' is too large", text);
    value = value * base + digit;
  }
  return minus ? -value : value;
}

std::optional<double> parse_float(std::string_view text) {
  std::string digits = clean_digits(text);
  if (digits.starts_with('+')) digits.erase(0, 1);
  if (digits == "infinity") digits = "inf";
  double value = 0;
  const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || end.ptr != digits.data() + digits.size()) return std::nullopt;
  if (end.ec == std::errc::result_out_of_range)
    return digits.find("e-") != std::string::npos ? 0.0 : HUGE_VAL * (digits[0] == '-' ? -1 : 1);
  return value;
}

Value to_int(Invocation& call) {
  require_defined(call.self);
  const Value fallback = call.has(0) ? call.at(0) : Value(0);
  const int64_t base = call.integer(1, 10, "the base");
  if (base < 2 || base > 36) fault("the base of a number is {}, expected one from 2 to 36", base);
  if (call.self.is_int()) return call.self.integer();
  if (call.self.is_text())
    if (const auto value = parse_int(call.self.text(), base)) return *value;
  const auto number = call.self.is_float()  ? std::optional(call.self.number())
                      : call.self.is_text() ? parse_float(call.self.text())
                                            : std::nullopt;
  return number && std::isfinite(*number) ? Value(truncated(*number)) : fallback;
}

Value to_float(Invocation& call) {
  require_defined(call.self);
  if (call.self.is_number()) return call.self.number();
  if (call.self.is_text())
    if (const auto value = parse_float(call.self.text())) return *value;
  return call.has(0) ? call.at(0) : Value(0.0);
}

Value absolute(Invocation& call) {
  require_defined(call.self);
  if (call.self.is_float()) return std::abs(call.self.number());
  if (!call.self.is_int())
    fault("abs takes a number, got a value of type {}", type_name(call.self));
  return call.self.integer() < 0 ? negative(call.self) : Value(call.self.integer());
}

// Half goes to the even digit, of the number as it is held.
Value rounded(double value, int64_t precision) {
  if (!std::isfinite(value)) return value;
  if (precision < 0) {
    const double unit = std::pow(10.0, static_cast<double>(-precision));
    return std::isinf(unit) ? 0.0 : std::nearbyint(value / unit) * unit;
  }
  if (precision > 320) return value;
  return parse_float(fmt::format("{:.{}f}", value, precision)).value();
}

Value round(Invocation& call) {
  require_defined(call.self);
  const int64_t precision = call.integer(0, 0, "the precision");
  const std::string_view method = call.has(1) ? call.text(1, "the method") : "common";
  if (!call.self.is_number())
    fault("round takes a number, got a value of type {}", type_name(call.self));
  if (method != "common" && method != "ceil" && method != "floor")
    fault("the method of round is '{}', expected common, ceil or floor", method);
  if (method == "common" && call.self.is_int() && precision >= 0) return call.self.integer();
  if (method == "common") {
    const Value value = rounded(call.self.number(), precision);
    return call.self.is_int() ? Value(truncated(value.number())) : value;
  }
  const double unit = std::pow(10.0, static_cast<double>(precision));
  const double scaled = call.self.number() * unit;
  return (method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit;
}

Value filesizeformat(Invocation& call) {
  require_defined(call.self);
  const double bytes = call.self.is_text()     ? parse_float(call.self.text()).value_or(NAN)
                       : call.self.is_number() ? call.self.number()
                                               : NAN;
  if (std::isnan(bytes)) fault("filesizeformat takes a number");
  const bool binary = call.truth(0, false);
  const double base = binary ? 1024 : 1000;
  constexpr std::string_view kDecimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
  constexpr std::string_view kBinary[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
  if (bytes == 1) return call.heap.text("1 Byte");
  if (bytes < base) return call.heap.text(int_text(truncated(bytes)) + " Bytes");
  double unit = base;
  size_t i = 0;
  for (; i < 7 && bytes >= unit * base; ++i) unit *= base;
  return call.heap.text(fmt::format("{:.1f} {}", bytes / unit, binary ? kBinary[i] : kDecimal[i]));
}

constexpr std::array kFilters = {
    Builtin{"abs", "", absolute},
    Builtin{"filesizeformat", "binary?", filesizeformat},
    Builtin{"float", "default?", to_float},
    Builtin{"int", "default? base?", to_int},
    Builtin{"round", "precision? method?", round},
};

}  // namespace

std::span<const Builtin> number_filters() { return kFilters; }

}  // namespace lathe::jinja
