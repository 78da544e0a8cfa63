#include <map>

#include "fuzz/fuzz.h"
#include "lathe/text/split/pretokenizer.h"
#include "text/reference_unigram.h"

namespace lathe::fuzz {
namespace {

constexpr size_t kPieces = 24, kText = 160;

// Pieces are a length, a score and text; those that cannot be pieces are left out.
testing::UnigramPieces pieces_of(std::string_view bytes, size_t count,
                                 UnigramArithmetic arithmetic) {
  testing::UnigramPieces pieces{{"<unk>", 0, UnigramPiece::Role::kUnmatched}};
  std::map<std::string, bool> seen;
  while (count-- > 0 && bytes.size() > 2) {
    const size_t length = 1 + static_cast<uint8_t>(bytes[0]) % 6;
    const int score = static_cast<uint8_t>(bytes[1]);
    std::string text(bytes.substr(2, length));
    for (size_t at; (at = text.find('_')) != std::string::npos;) text.replace(at, 1, "\u2581");
    bytes.remove_prefix(std::min(bytes.size(), 2 + length));
    if (!is_valid_utf8(text) || seen[text]) continue;
    seen[text] = true;
    const double value = score < 250 ? -score / 16.0 : -20000.0 * (score - 249);
    pieces.push_back({text, value,
                      score % 16 == 3 && arithmetic == UnigramArithmetic::kFloatThroughText
                          ? UnigramPiece::Role::kUserDefined
                          : UnigramPiece::Role::kNormal});
  }
  return pieces;
}

}  // namespace

// The arithmetic, the number of pieces, the pieces, and the text, many times over: every way of
// encoding it gives what the definition gives.
void check(std::string_view bytes) {
  if (bytes.size() < 2) return;
  const auto arithmetic = static_cast<UnigramArithmetic>(bytes[0] & 1);
  const size_t repeats = 1 + (static_cast<uint8_t>(bytes[0]) >> 3);
  const size_t count = static_cast<uint8_t>(bytes[1]) % kPieces;
  bytes.remove_prefix(2);
  const size_t half = bytes.size() / 2;
  const UnigramModel model =
      testing::unigram_model(pieces_of(bytes.substr(0, half), count, arithmetic), arithmetic);
  std::string part(bytes.substr(half, kText)), text;
  for (size_t at; (at = part.find('_')) != std::string::npos;) part.replace(at, 1, "\u2581");
  for (size_t i = 0; i < repeats; ++i) text += part;
  const std::vector<int32_t> wanted = testing::reference_unigram(model, text);
  const PreTokenizer none;
  const auto encoder = model.encoder(none);
  for (int time = 0; time < 2; ++time) {  // the second time from memory
    std::vector<int32_t> ids;
    encoder->encode(text, 0, {}, ids);
    promise(ids == wanted);
  }
}

std::vector<Seed> seeds() {
  const auto piece = [](char length, char score, const char* text) {
    return std::string{static_cast<char>(length - 1), score} + text;
  };
  const std::string pieces =
      piece(2, 0x20, "_a") + piece(1, 0x30, "b") + piece(3, 0x28, "abc") + piece(1, '\xFE', "c");
  return {{"float", std::string("\xF8\x04") + pieces + "_ab_abc_a bcx\u00e9_ab_a_"},
          {"double", std::string("\xF9\x04") + pieces + "_ab_abc_a bcx\u00e9_ab_a_"}};
}

}  // namespace lathe::fuzz
