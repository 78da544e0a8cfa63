#include "lathe/documents/search/word_overlap.h"

#include "lathe/documents/cut/words.h"

namespace lathe {

std::unordered_set<std::string> different_words(std::string_view text) {
  std::unordered_set<std::string> out;
  for_each_word(text, [&](const std::string& word) { out.insert(word); });
  return out;
}

double covered(std::string_view said, std::string_view text, const WordWeight& weight) {
  const std::unordered_set<std::string> there = different_words(text);
  double all = 0, shared = 0;
  for (const std::string& word : different_words(said)) {
    const double w = weight(word);
    all += w;
    if (there.contains(word)) shared += w;
  }
  return all > 0 ? shared / all : 1;
}

}  // namespace lathe
