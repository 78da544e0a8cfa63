// What is asked for follows from examples in the prompt, and from nothing that could be learnt before.
#include <cmath>
#include <set>

#include "lathe/eval/draws.h"
#include "lathe/eval/generated/kinds.h"

namespace lathe {
namespace {

// A consonant, a vowel, a consonant; as many different ones as are asked for.
std::vector<std::string> made_words(Draws& draws, int64_t count) {
  constexpr std::string_view kConsonants = "bdfgklmnprstvxz", kVowels = "aeiou";
  constexpr auto kOuter = static_cast<int64_t>(kConsonants.size()),
                 kInner = static_cast<int64_t>(kVowels.size());
  std::vector<std::string> words;
  for (const int64_t number : draws.different(count, kOuter * kInner * kOuter))
    words.push_back({kConsonants[static_cast<size_t>(number % kOuter)],
                     kVowels[static_cast<size_t>(number / kOuter % kInner)],
                     kConsonants[static_cast<size_t>(number / kOuter / kInner)]});
  return words;
}

}  // namespace

// Two to four letters are the labels of an item, each of at least one word. A guess is one of them.
GeneratedItem make_labels(const Rng& rng, int64_t size) {
  Draws draws(rng);
  const std::vector<std::string> words = made_words(draws, size);
  const int64_t count = std::clamp<int64_t>(size / 2, 2, 4);
  const std::vector<int64_t> letters = draws.different(count, 26);
  std::vector<int64_t> labels = letters;
  while (std::ssize(labels) < size)
    labels.push_back(letters[static_cast<size_t>(draws.below(count))]);
  draws.shuffle(labels);
  const auto label = [&](size_t word) {
    return std::string(1, static_cast<char>('A' + labels[word]));
  };
  std::string prompt = "labels:";
  for (size_t i = 0; i < words.size(); ++i) prompt += " " + words[i] + " -> " + label(i) + ";";
  const auto asked = static_cast<size_t>(draws.below(size));
  return {prompt + " " + words[asked] + " ->", " " + label(asked), 1 / static_cast<double>(count)};
}

// y = a·x + b, with a from 1 to 9, b from 0 to 9, and different x from 0 to 20. A guess is a number of as many digits.
GeneratedItem make_linear(const Rng& rng, int64_t size) {
  Draws draws(rng);
  const int64_t a = draws.between(1, 9), b = draws.between(0, 9);
  const std::vector<int64_t> x = draws.different(size + 1, kLinearArguments);
  std::string prompt = "linear:";
  for (size_t i = 0; i + 1 < x.size(); ++i)
    prompt += " " + std::to_string(x[i]) + " " + std::to_string(a * x[i] + b) + ";";
  const std::string y = std::to_string(a * x.back() + b);
  return {prompt + " " + std::to_string(x.back()) + " ->", " " + y,
          std::pow(0.1, static_cast<double>(y.size()))};
}

}  // namespace lathe
