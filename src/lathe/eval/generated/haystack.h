// Running text to hide something in.
//
// Its unit is the word: a stretch between white space. Its pieces are sentences, which end at . ! ? or … with the quotes and
// brackets behind them, or at an empty line; one of more than 100 words is cut at its line ends, and where that does not
// do after every 100 words.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "lathe/eval/draws.h"

namespace lathe {

// Some pieces in a row. Between two of them, and at both ends, is a border.
struct Passage {
  std::string text;                   // without white space at its ends
  std::vector<size_t> borders;        // as bytes of the text, from 0 to its end
  std::vector<int64_t> words_before;  // of each border

  // The border before which there are nearest to so many per cent of the words.
  size_t border_at(int64_t depth) const;
};

// Immutable; const functions are thread-safe.
class Haystack {
 public:
  // `name` is what errors call the text.
  Haystack(std::string text, std::string name);
  // All documents of the files, and of the texts in folders, one behind the other (corpus/documents.h); errors of both.
  static Haystack of_files(std::span<const std::string> paths);

  int64_t words() const { return words_.back(); }
  // Error kData, saying what to do, for a text of fewer words.
  void require_words(int64_t words) const;
  // Pieces from a drawn place, as many as come nearest to so many words: at most 50 more or fewer, unless one alone has
  // more. The text has as many.
  Passage passage(Draws& draws, int64_t words) const;

 private:
  std::string text_, name_;
  std::vector<size_t> begins_;  // of each piece, and the end of the text
  std::vector<int64_t> words_;  // before each of these
};

// The same of plain made English, without digits: sentences of 7 to 14 words.
Passage made_passage(Draws& draws, int64_t words);

}  // namespace lathe
