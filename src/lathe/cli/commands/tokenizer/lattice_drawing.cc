#include "lathe/cli/commands/tokenizer/lattice_drawing.h"

#include <unicode/uchar.h>

#include <algorithm>

#include "lathe/base/printable.h"
#include "lathe/base/strings.h"
#include "lathe/base/utf8.h"

namespace lathe {
namespace {

using Piece = TokenModel::LatticePiece;

// How many columns of a terminal a character takes; what no terminal draws alone takes none.
int columns_of(char32_t c) {
  if (c == kInvalidByte) return 1;
  const auto value = static_cast<UChar32>(c);
  const auto category = u_charType(value);
  if (category == U_NON_SPACING_MARK || category == U_ENCLOSING_MARK || category == U_FORMAT_CHAR)
    return 0;
  const int width = u_getIntPropertyValue(value, UCHAR_EAST_ASIAN_WIDTH);
  return width == U_EA_WIDE || width == U_EA_FULLWIDTH ? 2 : 1;
}

std::string repeated(std::string_view part, size_t times) {
  std::string out;
  while (times-- > 0) out += part;
  return out;
}

std::string header(std::string_view text) {
  std::string out;
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    const std::string shown = printable({reinterpret_cast<const char*>(p), c.size});
    const bool drawn = c.value != kInvalidByte && c.value >= 0x20 && c.value != 0x7F;
    out += drawn ? shown : "?";
    out += repeated(" ", static_cast<size_t>(2 - (drawn ? columns_of(c.value) : 1)));
    p += c.size;
  }
  return out;
}

// A bracket under the characters of a piece.
std::string bracket(size_t characters, bool best) {
  if (characters <= 1) return best ? "╹" : "╵";
  const std::string line = repeated(best ? "━" : "─", 2 * characters - 3);
  return best ? "┗" + line + "┛" : "└" + line + "┘";
}

std::string row(std::string_view text, const Piece& piece, size_t width) {
  const auto count = [](std::string_view part) {
    return static_cast<size_t>(count_characters(part));
  };
  const size_t left = 2 * count(text.substr(0, piece.begin));
  const std::string_view own = text.substr(piece.begin, piece.end - piece.begin);
  const size_t right = left + std::max<size_t>(2 * count(own), 2) - 1;
  return fmt::format("  {}{}{}  {:>9.3f} {:>8.2f} %  {}{}\n", repeated(" ", left),
                     bracket(count(own), piece.best), repeated(" ", width - right), piece.score,
                     100 * piece.probability, printable(own), piece.id < 0 ? "  (no token)" : "");
}

}  // namespace

std::string lattice_drawing(const Tokenizer::Lattice& lattice) {
  std::vector<Piece> pieces = lattice.pieces;
  std::ranges::stable_sort(pieces, std::greater(), &Piece::best);
  const size_t width = 2 * static_cast<size_t>(count_characters(lattice.text));
  std::string out = "  " + header(lattice.text);
  out.erase(out.find_last_not_of(' ') + 1);
  out += "\n";
  for (const Piece& piece : pieces) out += row(lattice.text, piece, width);
  return out;
}

}  // namespace lathe
