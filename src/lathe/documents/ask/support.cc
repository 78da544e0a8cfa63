#include "lathe/documents/ask/support.h"

#include <cmath>

#include "lathe/documents/cut/sentences.h"
#include "lathe/documents/cut/words.h"
#include "lathe/documents/read/readers.h"

namespace lathe {
double support_of(std::string_view sentence, std::string_view passage, const WordWeight& weight) {
  const auto there = different_words(passage);
  for (const std::string& word : different_words(sentence))
    if (word.find_first_of("0123456789") != std::string::npos && !there.contains(word)) return 0;
  return covered(sentence, passage, weight);
}

Quote quote_for(const FoundChunk& chunk, std::string_view said, std::string_view question,
                const WordWeight& weight) {
  const auto in_answer = different_words(said), in_question = different_words(question);
  Quote best;
  double most = -1;
  // Lines end sentences, too: headings, items and rows have no stops.
  for (const Line& line : lines_of(chunk.text)) {
    const std::string_view text = in(chunk.text, line);
    int64_t begin = 0;
    for (const int64_t end : sentence_ends(text)) {
      const std::string_view sentence =
          without_blanks(text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
      begin = end;
      double score = 0, words = 1;
      for_each_word(sentence, [&](const std::string&) { ++words; });
      for (const std::string& word : different_words(sentence))
        score += weight(word) *
                 ((in_answer.contains(word) ? 1 : 0) + (in_question.contains(word) ? 1 : 0));
      score /= std::sqrt(std::sqrt(words));
      if (score <= most || sentence.empty()) continue;
      most = score;
      const int64_t at = chunk.begin + (sentence.data() - chunk.text.data());
      best = {at, at + std::ssize(sentence), std::string(sentence)};
    }
  }
  return best;
}

}  // namespace lathe
