// The Unigram language model (Kudo 2018, arXiv:1804.10959): of all ways to cut a text into pieces
// the one whose scores (log-probabilities) have the largest sum.
//
// A character that is no piece by itself may be an unknown piece, whose score is 10 below the
// lowest one. Unknown pieces side by side become one unknown token, or, with byte fallback, the
// tokens of their bytes.
//
// Sums are rounded, and that decides between segmentations that are nearly as good. So there are
// two arithmetics, each with the ids of one library on every text:
//
//   kFloatThroughText  `sentencepiece` 0.2.3: one float32 sum through the whole text, which begins
//                      anew with 0 where it is beyond ±100,000.
//   kDoublePerPiece    `tokenizers`: a float64 sum that begins at 0 with each pre-token.
//
// In both a later candidate must be strictly better.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "lathe/text/double_array.h"
#include "lathe/text/model/char_cuts.h"
#include "lathe/text/model/token_model.h"

namespace lathe {

enum class UnigramArithmetic : uint8_t { kFloatThroughText, kDoublePerPiece };

struct UnigramPiece {
  enum class Role : uint8_t {
    kNormal,
    kUserDefined,  // scores 0.1 (bytes - 1), more than a log-probability; kFloatThroughText only
    kUnmatched,    // never found in a text: unknown, control, byte and unused pieces
  };
  double score = 0;
  Role role = Role::kUnmatched;
};

struct UnigramOptions {
  UnigramArithmetic arithmetic = UnigramArithmetic::kDoublePerPiece;
  int32_t unknown_id = -1;
  bool byte_fallback = false;  // by the tokens <0x00> to <0xFF>
};

class UnigramModel : public TokenModel {
 public:
  // `pieces`: by id, for all ids of the vocabulary. Throws kFormat, naming `origin` and the piece,
  // for a score that is not a number or infinite, for pieces that text may match but that are empty
  // or not UTF-8, for an unknown id that is not in the vocabulary, and where kFloatThroughText with
  // byte fallback lacks the token of a byte.
  UnigramModel(Vocabulary vocabulary, std::vector<UnigramPiece> pieces,
               const UnigramOptions& options, std::string_view origin);

  std::string_view type() const override { return "Unigram"; }
  int32_t unknown_id() const override { return options_.unknown_id; }
  std::unique_ptr<TextEncoder> encoder(const PreTokenizer& pre_tokenizer) const override;
  std::vector<Segmentation> nbest(std::string_view piece, int64_t n) const override;
  std::vector<int32_t> sample(std::string_view piece, double alpha, const Rng& rng) const override;
  std::vector<LatticePiece> lattice(std::string_view piece) const override;
  std::optional<Weight> weight_of(int32_t id) const override;

  const UnigramOptions& options() const { return options_; }
  const std::vector<UnigramPiece>& pieces() const { return pieces_; }

  // What follows is for encoders.

  // Score of an unknown piece.
  double unknown_score() const { return unknown_score_; }
  // What a piece that was found adds to a sum, by id. Real: float for kFloatThroughText, where the
  // unknown piece has unknown_score(), and double for kDoublePerPiece.
  template <class Real>
  const Real* scores() const;
  // As scores(), but for n best and samples: `sentencepiece` counts a user-defined piece's
  // characters there.
  double lattice_score(int32_t id) const;

  // Calls f(end, id) for every piece that begins at `p` and ends by `limit`, the shortest first;
  // `end` is where it ends.
  template <class F>
  void for_each_piece(const uint8_t* p, const uint8_t* limit, F&& f) const {
    if (trie_.empty()) return;
    DoubleArray::Node node = trie_.root();
    while (p < limit && trie_.step(node, trie_byte(*p))) {
      ++p;
      if (node.value != DoubleArray::kNone) f(p, node.value);
    }
  }

  // Borders that no piece reaches over. The one between two characters, one of which is U+2581:
  bool cuts_at_mark(bool left_is_mark, bool right_is_mark) const {
    return !joined_[left_is_mark][right_is_mark];
  }
  // All others.
  const CharCuts& cuts() const { return cuts_; }

  // Whether some piece holds the character; true for what is not UTF-8. One that none holds is an
  // unknown piece wherever it stands.
  bool knows(char32_t c) const {
    return c > 0x10FFFF || (characters_[c >> 6] >> (c & 63) & 1) != 0;
  }

  // Appends the tokens of unknown pieces side by side, [p, end). Throws kData if there are none.
  void append_unknown(const uint8_t* p, const uint8_t* end, std::vector<int32_t>& out) const;

 private:
  void check_pieces(std::string_view origin) const;
  void find_scores();
  void find_byte_ids(std::string_view origin);
  void build_trie();
  void find_joined_marks(std::string_view piece);
  void find_characters(std::string_view piece);

  // The trie cannot hold the byte 0, and UTF-8 never has the byte 255, so they change places.
  static uint8_t trie_byte(uint8_t b) { return b == 0 ? 255 : b == 255 ? 0 : b; }

  UnigramOptions options_;
  std::vector<UnigramPiece> pieces_;  // by id
  std::vector<double> scores_;        // by id
  std::vector<float> float_scores_;   // the same for kFloatThroughText
  double unknown_score_ = 0;
  DoubleArray trie_;
  CharCuts cuts_;
  // Whether some piece holds a border from [left] to [right]; [1] is U+2581, [0] any other.
  bool joined_[2][2] = {{true, false}, {false, false}};
  std::vector<uint64_t> characters_ = std::vector<uint64_t>(0x110000 / 64);  // see knows()
  std::array<int32_t, 256> byte_ids_{};                                      // -1: none
};

template <>
inline const double* UnigramModel::scores<double>() const {
  return scores_.data();
}
template <>
inline const float* UnigramModel::scores<float>() const {
  return float_scores_.data();
}

}  // namespace lathe
