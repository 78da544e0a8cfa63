// What is asked for is a word of the prompt. A guess is one of those that it could be.
#include <set>

#include "lathe/eval/draws.h"
#include "lathe/eval/generated/kinds.h"

namespace lathe {

// Keys are words, values digits, which are not all the same.
GeneratedItem make_recall(const Rng& rng, int64_t size) {
  Draws draws(rng);
  const std::vector<std::string> keys = draws.words(size);
  std::vector<int64_t> values = draws.different(2, 10);
  while (std::ssize(values) < size) values.push_back(draws.below(10));
  draws.shuffle(values);
  std::string prompt = "recall:";
  for (size_t i = 0; i < keys.size(); ++i)
    prompt += " " + keys[i] + " " + std::to_string(values[i]);
  const auto asked = static_cast<size_t>(draws.below(size));
  const std::set<int64_t> different(values.begin(), values.end());
  return {prompt + " ? " + keys[asked] + " ->", " " + std::to_string(values[asked]),
          1 / static_cast<double>(different.size())};
}

// Arrows of one chain, in any order; some of them are followed, at least two.
GeneratedItem make_hop(const Rng& rng, int64_t size) {
  Draws draws(rng);
  const std::vector<std::string> chain = draws.words(size + 1);
  std::string prompt = "hop:";
  for (const int64_t arrow : draws.different(size, size)) {
    const auto from = static_cast<size_t>(arrow);
    prompt += " " + chain[from] + "=" + chain[from + 1];
  }
  const int64_t hops = draws.between(2, size), start = draws.between(0, size - hops);
  return {prompt + " ? " + chain[static_cast<size_t>(start)] + " " + std::to_string(hops) + " ->",
          " " + chain[static_cast<size_t>(start + hops)], 1 / static_cast<double>(size)};
}

// The last word came once before; what followed it there follows here.
GeneratedItem make_induction(const Rng& rng, int64_t size) {
  Draws draws(rng);
  const std::vector<std::string> words = draws.words(size);
  const auto again = static_cast<size_t>(draws.below(size - 1));
  return {"induction:" + after_blanks(words) + " " + words[again] + " ->", " " + words[again + 1],
          1 / static_cast<double>(size - 1)};
}

}  // namespace lathe
