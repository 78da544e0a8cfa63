// What pre-tokenisers need that write a text anew. Internal to text/.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/split/pretokenizer.h"

namespace lathe {

// A text in another spelling, and where each of its bytes came from.
struct Respelled {
  std::string text;
  std::vector<size_t> origin;  // text.size() + 1 entries
};

// Each byte as a character of the byte alphabet.
Respelled in_byte_alphabet(std::string_view bytes);
// Each invalid byte as U+FFFD.
Respelled with_valid_utf8(std::string_view bytes);

// How many bytes of the piece derive from the first character of the text.
inline size_t start_of_piece(const PreTokenizer::Scratch& scratch, const Piece& piece) {
  return std::min(scratch.start, piece.end) - std::min(scratch.start, piece.begin);
}

}  // namespace lathe
