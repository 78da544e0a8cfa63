#include <cmath>

#include "lathe/eval/draws.h"
#include "lathe/eval/generated/kinds.h"

namespace lathe {

// A guess is a number of as many digits as the sum has.
GeneratedItem make_addition(const Rng& rng, int64_t size) {
  Draws draws(rng);
  int64_t beyond = 1;  // 10^size
  for (int64_t digit = 0; digit < size; ++digit) beyond *= 10;
  const int64_t smallest = size == 1 ? 0 : beyond / 10;
  const int64_t a = draws.between(smallest, beyond - 1), b = draws.between(smallest, beyond - 1);
  const std::string sum = std::to_string(a + b);
  return {std::to_string(a) + "+" + std::to_string(b) + "=", sum,
          std::pow(0.1, static_cast<double>(sum.size()))};
}

}  // namespace lathe
