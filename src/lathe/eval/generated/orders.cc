// What is asked for are the words of the prompt in an order. A guess has them in any.
#include <cmath>

#include "lathe/eval/draws.h"
#include "lathe/eval/generated/kinds.h"

namespace lathe {
namespace {

double chance_of_order(int64_t words) {
  return std::exp(-std::lgamma(static_cast<double>(words) + 1));
}

GeneratedItem item(const char* name, const std::vector<std::string>& words,
                   const std::vector<std::string>& ordered) {
  return {name + (":" + after_blanks(words)) + " ->", after_blanks(ordered),
          chance_of_order(std::ssize(words))};
}

}  // namespace

GeneratedItem make_copy(const Rng& rng, int64_t size) {
  const std::vector<std::string> words = Draws(rng).words(size);
  return item("copy", words, words);
}

GeneratedItem make_reverse(const Rng& rng, int64_t size) {
  const std::vector<std::string> words = Draws(rng).words(size);
  return item("reverse", words, {words.rbegin(), words.rend()});
}

// Numbers, ascending; so many that each size has room for different ones.
GeneratedItem make_sort(const Rng& rng, int64_t size) {
  std::vector<int64_t> numbers = Draws(rng).different(size, std::max<int64_t>(100, 4 * size));
  const auto texts = [](const std::vector<int64_t>& all) {
    std::vector<std::string> out;
    out.reserve(all.size());
    for (const int64_t number : all) out.push_back(std::to_string(number));
    return out;
  };
  const std::vector<std::string> words = texts(numbers);
  std::ranges::sort(numbers);
  return item("sort", words, texts(numbers));
}

}  // namespace lathe
