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

namespace {

// Numbers of two digits, and every sum on the way from the first two to all of them.
struct Sums {
  std::string numbers;  // 12+34+56
  std::vector<int64_t> summands, sums;
};

Sums drawn_sums(const Rng& rng, int64_t size) {
  Draws draws(rng);
  Sums all;
  int64_t sum = 0;
  for (int64_t i = 0; i < size; ++i) {
    all.summands.push_back(draws.between(10, 99));
    sum += all.summands.back();
    all.numbers += (i == 0 ? "" : "+") + std::to_string(all.summands.back());
    if (i > 0) all.sums.push_back(sum);
  }
  return all;
}

}  // namespace

GeneratedItem make_addition_of_many(const Rng& rng, int64_t size) {
  const Sums all = drawn_sums(rng, size);
  const std::string sum = std::to_string(all.sums.back());
  return {all.numbers + "=", sum, std::pow(0.1, static_cast<double>(sum.size()))};
}

// A guess knows the numbers that are added, and of each sum how many digits it has.
GeneratedItem make_cot_addition(const Rng& rng, int64_t size) {
  const Sums all = drawn_sums(rng, size);
  std::string target;
  double digits = 0;
  for (size_t i = 0; i < all.sums.size(); ++i) {
    const std::string sum = std::to_string(all.sums[i]);
    target += (i == 0 ? " " : "; ") + std::to_string(i == 0 ? all.summands[0] : all.sums[i - 1]) +
              "+" + std::to_string(all.summands[i + 1]) + "=" + sum;
    digits += static_cast<double>(sum.size());
  }
  return {all.numbers + " step by step:", target, std::pow(0.1, digits)};
}

}  // namespace lathe
