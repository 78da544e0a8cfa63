// Random choices, one after the other.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "lathe/base/rng.h"

namespace lathe {

class Draws {
 public:
  explicit Draws(const Rng& rng) : rng_(rng) {}

  int64_t below(int64_t n) {
    return static_cast<int64_t>(rng_.below(next_++, static_cast<uint64_t>(n)));
  }
  // In [first, last].
  int64_t between(int64_t first, int64_t last) { return first + below(last - first + 1); }

  template <class T>
  void shuffle(std::vector<T>& all) {
    for (size_t i = all.size(); i > 1; --i)
      std::swap(all[i - 1], all[static_cast<size_t>(below(static_cast<int64_t>(i)))]);
  }

  // Different numbers below n.
  std::vector<int64_t> different(int64_t count, int64_t n) {
    std::vector<int64_t> all(static_cast<size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    for (int64_t i = 0; i < count; ++i)
      std::swap(all[static_cast<size_t>(i)], all[static_cast<size_t>(i + below(n - i))]);
    all.resize(static_cast<size_t>(count));
    return all;
  }

  // Different words: letters, or of more than half the alphabet pairs of letters.
  std::vector<std::string> words(int64_t count) {
    constexpr int64_t kLetters = 26;
    std::vector<std::string> all;
    const int length = count <= kLetters / 2 ? 1 : 2;
    for (int64_t number : different(count, length == 1 ? kLetters : kLetters * kLetters)) {
      std::string word;
      for (int i = 0; i < length; ++i, number /= kLetters)
        word += static_cast<char>('a' + number % kLetters);
      all.push_back(std::move(word));
    }
    return all;
  }

 private:
  Rng rng_;
  uint64_t next_ = 0;
};

// The words with a blank before each.
inline std::string after_blanks(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += " " + word;
  return text;
}

}  // namespace lathe
