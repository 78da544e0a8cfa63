// Arithmetic as people write it.
#pragma once

#include <string>
#include <string_view>

namespace lathe {

// The value of an expression of numbers, + - * / % ** ^ (both powers, from the right), a sign and parentheses; ×, ÷
// and − are read as * / -. In doubles. Errors: kData, saying where, for what is no such expression, a division by 0, a
// result that is not finite, more than 1,000 bytes, and more than 100 open parentheses, signs and powers.
double evaluate_arithmetic(std::string_view expression);

// Integers below 10¹⁵ as such, others with up to 12 significant digits: 0.3, 1.5e+20.
std::string number_text(double number);

}  // namespace lathe
