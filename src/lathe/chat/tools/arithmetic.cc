#include "lathe/chat/tools/arithmetic.h"

#include <fmt/format.h>

#include <cmath>

#include "lathe/base/error.h"
#include "lathe/config/literal.h"

namespace lathe {
namespace {

constexpr size_t kLongest = 1000;
constexpr int kDeepest = 100;

std::string in_ascii(std::string_view text) {
  constexpr std::pair<std::string_view, char> kSigns[] = {{"×", '*'}, {"÷", '/'}, {"−", '-'}};
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t taken = 0;
    for (const auto& [sign, ascii] : kSigns)
      if (text.substr(i).starts_with(sign)) out += ascii, taken = sign.size();
    if (taken == 0) out += text[i], taken = 1;
    i += taken;
  }
  return out;
}

// Recursive descent: sum = product (+|- product)*, product = factor (*|/|% factor)*, factor = (+|-) factor | power,
// power = atom [(**|^) factor], atom = number | ( sum ).
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(in_ascii(text)) {}

  double whole() {
    const double value = sum();
    if (!at_end()) refuse(fmt::format("'{}' stands where an operator is expected", text_[at_]));
    return value;
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    fail(ErrorKind::kData, "calculator", "{} (at character {} of '{}')", why, at_ + 1, text_);
  }
  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n'))
      ++at_;
  }
  bool at_end() {
    skip_blanks();
    return at_ == text_.size();
  }
  bool take(std::string_view sign) {
    skip_blanks();
    if (!std::string_view(text_).substr(at_).starts_with(sign)) return false;
    at_ += sign.size();
    return true;
  }
  // A "*" that is not the beginning of "**".
  bool take_times() {
    skip_blanks();
    return !std::string_view(text_).substr(at_).starts_with("**") && take("*");
  }
  double finite(double value) const {
    if (!std::isfinite(value)) refuse("the result is too large");
    return value;
  }
  double nonzero(double value) const {
    if (value == 0) refuse("division by zero");
    return value;
  }

  double sum() {
    double value = product();
    while (true) {
      if (take("+"))
        value = finite(value + product());
      else if (take("-"))
        value = finite(value - product());
      else
        return value;
    }
  }
  double product() {
    double value = factor();
    while (true) {
      if (take_times()) {
        value = finite(value * factor());
      } else if (take("/")) {
        value = finite(value / nonzero(factor()));
      } else if (take("%")) {
        const double by = nonzero(factor());
        value -= by * std::floor(value / by);
      } else {
        return value;
      }
    }
  }
  double factor() {
    if (++depth_ > kDeepest) refuse("the expression is nested too deeply");
    double value = 0;
    if (take("-"))
      value = -factor();
    else if (take("+"))
      value = factor();
    else
      value = power();
    --depth_;
    return value;
  }
  double power() {
    const double base = atom();
    if (!take("**") && !take("^")) return base;
    const double value = std::pow(base, factor());
    if (std::isnan(value)) refuse("a negative number has no such power");
    return finite(value);
  }
  double atom() {
    if (!take("(")) return number();
    const double value = sum();
    if (!take(")")) refuse("a parenthesis is not closed");
    return value;
  }
  double number() {
    skip_blanks();
    const auto is_digit = [&](size_t at) {
      return at < text_.size() && text_[at] >= '0' && text_[at] <= '9';
    };
    size_t end = at_;
    while (is_digit(end) || (end < text_.size() && text_[end] == '.')) ++end;
    if (end > at_ && end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      const size_t sign =
          end + 1 < text_.size() && (text_[end + 1] == '-' || text_[end + 1] == '+');
      if (is_digit(end + 1 + sign))
        for (end += 1 + sign; is_digit(end);) ++end;
    }
    double value = 0;
    const bool digits = is_digit(at_) || is_digit(at_ + 1);
    if (!digits || !parse_number("0" + text_.substr(at_, end - at_), value))
      refuse(at_ == text_.size() ? "a number is missing at the end" : "a number is expected");
    at_ = end;
    return finite(value);
  }

  const std::string text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

double evaluate_arithmetic(std::string_view expression) {
  require(expression.size() <= kLongest, ErrorKind::kData, "calculator",
          "the expression has {} bytes, expected at most {}", expression.size(), kLongest);
  return Reader(expression).whole();
}

std::string number_text(double number) {
  if (number == std::floor(number) && std::abs(number) < 1e15)
    return fmt::format("{:.0f}", number == 0 ? 0.0 : number);
  return fmt::format("{:.12g}", number);
}

}  // namespace lathe
