// Documents cut into pieces, which are found, and chunks of neighbouring pieces, which are shown.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/documents/read/document.h"

namespace lathe {

struct CutOptions {
  int64_t chunk_tokens = 256;
  int64_t overlap = 32;  // tokens that two pieces of a long paragraph share
  // Tokens of a text, as whoever embeds it counts them.
  std::function<int64_t(std::string_view)> tokens = {};
};

struct Piece {
  int64_t begin = 0, end = 0;  // bytes of the file
  std::string words;           // what is searched
  int64_t tokens = 0;          // of them
};

struct Chunk {
  int64_t begin = 0, end = 0;
  std::string trail;  // the headings that it stands under: "Part 2 > Wolves"
  std::vector<Piece> pieces;
};

// By structure first: a piece is a stretch of the document, a long one is cut behind sentences (and one without ends
// within a sentence); a chunk is a row of pieces under one heading, of at most chunk_tokens together. A heading belongs
// to the piece behind it.
std::vector<Chunk> cut(std::string_view text, const Document& document, const CutOptions& options);

}  // namespace lathe
