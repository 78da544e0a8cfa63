#include <algorithm>
#include <set>

#include "fuzz/fuzz.h"
#include "text/reference_char_bpe.h"

namespace lathe::fuzz {
namespace {

constexpr size_t kPieces = 32, kText = 200;

std::string with_marks(std::string text) {
  for (size_t at; (at = text.find('_')) != std::string::npos;) text.replace(at, 1, "\u2581");
  return text;
}

// Pieces are a length, a score and text; those that cannot be pieces are left out.
testing::Scored pieces_of(std::string_view bytes, size_t count) {
  testing::Scored pieces{{"<unk>"}, {0}, {PieceRole::kNone}};
  std::set<std::string> seen = {"<unk>"};
  while (count-- > 0 && bytes.size() > 2) {
    const size_t length = 1 + static_cast<uint8_t>(bytes[0]) % 7;
    const int score = static_cast<uint8_t>(bytes[1]);
    const std::string text = with_marks(std::string(bytes.substr(2, length)));
    bytes.remove_prefix(std::min(bytes.size(), 2 + length));
    if (!is_valid_utf8(text) || !seen.insert(text).second) continue;
    pieces.pieces.push_back(text);
    pieces.scores.push_back(static_cast<float>(-score) / 4);
    pieces.roles.push_back(score == 255 ? PieceRole::kNone : PieceRole::kNormal);
  }
  return pieces;
}

// In the way a Metaspace pre-tokeniser leaves them: no line between words is seen by the model.
std::string text_of(std::string_view bytes, size_t repeats) {
  const std::string part = with_marks(std::string(bytes.substr(0, kText)));
  std::string text;
  for (size_t i = 0; i < repeats; ++i) text += part;
  return text;
}

}  // namespace

// Repeats, the number of pieces, the pieces, and the text: encoding it by scores gives what the
// definition gives, also from memory, and so do merges in order of rank where they say it all.
void check(std::string_view bytes) {
  if (bytes.size() < 2) return;
  const size_t repeats = 1 + (static_cast<uint8_t>(bytes[0]) & 7);
  const size_t count = static_cast<uint8_t>(bytes[1]) % kPieces;
  bytes.remove_prefix(2);
  const size_t half = bytes.size() / 2;
  const testing::Scored scored = pieces_of(bytes.substr(0, half), count);
  const std::string text = text_of(bytes.substr(half), repeats);
  const CharBpeOptions options{.unknown = 0, .fuse_unknown = true};
  const CharBpe model = CharBpe::by_score(testing::vocabulary_of(scored.pieces), scored.scores,
                                          scored.roles, options, "f");
  const std::vector<int32_t> wanted = testing::reference_char_bpe(scored, text, 0);
  const PreTokenizer none;
  const auto encoder = model.encoder(none);
  for (int time = 0; time < 2; ++time) {  // the second time from memory
    std::vector<int32_t> ids;
    encoder->encode(text, 0, {}, ids);
    promise(ids == wanted);
  }
  promise(model.encode_with_dropout(text, 0, Rng(1)) == wanted);
  // Merges know nothing of roles: a second piece without one would be found in the text.
  if (!model.has_ranks() || std::ranges::count(scored.roles, PieceRole::kNone) > 1) return;
  const CharBpe by_rank(testing::vocabulary_of(scored.pieces), model.merges(), options);
  promise(testing::encode_alone(by_rank, text) == wanted);
}

std::vector<Seed> seeds() {
  const auto piece = [](char length, char score, const char* text) {
    return std::string{static_cast<char>(length - 1), score} + text;
  };
  const std::string pieces = piece(1, 0x20, "_") + piece(1, 0x21, "a") + piece(1, 0x22, "b") +
                             piece(2, 0x08, "_a") + piece(2, 0x09, "ab") + piece(3, 0x0A, "abc");
  std::string spaces;
  for (char n = 6; n > 0; --n) spaces += piece(n, 0x10, std::string(n, '_').c_str());
  return {{"words", std::string("\x03\x06") + pieces + "_ab_abc_a bcx\u00e9_ab_a_aaaaaaa"},
          {"runs", std::string("\x07\x06") + spaces + "_________________________________"}};
}

}  // namespace lathe::fuzz
