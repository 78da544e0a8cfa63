// Byte-pair encoding on characters (Sennrich et al. 2016, arXiv:1508.07909), as `tokenizers` has it
// without a ByteLevel pre-tokeniser and as SentencePiece has it.
//
//   symbols = the tokens of the piece's characters; of a character without one the tokens of its
//             bytes (byte fallback), else the unknown token
//   while some adjacent pair has a merge: apply the merge of lowest rank, leftmost first
//
// The affixes of older models are part of a character's spelling: "##b" inside a word, "b</w>" at
// its end. A piece of n bytes costs O(n log n) at worst; stretches of text that come again cost a
// look-up. Immutable, hence thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/model/char_cuts.h"
#include "lathe/text/model/char_ids.h"
#include "lathe/text/model/pair_merger.h"
#include "lathe/text/model/token_model.h"

namespace lathe {

struct CharBpeOptions {
  std::string continuing_prefix = {};   // before every character of a piece but the first
  std::string word_end = {};            // after its last character
  std::optional<int32_t> unknown = {};  // token of a character that has none; without it, an error
  bool fuse_unknown = false;            // one such token for a run of them
  bool byte_fallback = false;           // first the tokens <0x00> to <0xFF>
  bool ignore_merges = false;           // a piece that is a token is that token
};

// What a piece of a SentencePiece model is to byte-pair encoding.
enum class PieceRole : uint8_t {
  kNormal,  // characters and merges make it
  kUnused,  // the same, but it is taken apart again in the end
  kNone,    // only ever an id: control symbols, the unknown token, bytes
};

class CharBpe : public TokenModel {
 public:
  // `merges` in rank order, ids checked by the caller against `vocabulary`; of a pair listed twice
  // the later rank counts. Throws kFormat for more than PairTable::kMaxRank merges.
  CharBpe(Vocabulary vocabulary, std::vector<Merge> merges, CharBpeOptions options);

  // SentencePiece: two neighbours merge if together they are a piece, those with the highest score
  // first and the leftmost among equals. `scores` and `roles` by id. Throws kFormat, naming
  // `origin`, for pieces that can be made in more than PairTable::kMaxRank ways in all, and for one
  // of more than 4096 bytes.
  static CharBpe by_score(Vocabulary vocabulary, std::span<const float> scores,
                          std::span<const PieceRole> roles, CharBpeOptions options,
                          std::string_view origin);

  std::string_view type() const override { return "BPE"; }
  int64_t merge_count() const override { return static_cast<int64_t>(merges_.size()); }
  int32_t unknown_id() const override { return options_.unknown.value_or(-1); }
  std::unique_ptr<TextEncoder> encoder(const PreTokenizer& pre_tokenizer) const override;
  std::vector<int32_t> encode_with_dropout(std::string_view piece, double dropout,
                                           const Rng& rng) const override;
  std::optional<Weight> weight_of(int32_t id) const override;

  const std::vector<Merge>& merges() const { return merges_; }
  const CharBpeOptions& options() const { return options_; }
  // Whether merges() of tokens in rank order say it all: no ties between scores, and no characters
  // that only pieces are made of.
  bool has_ranks() const { return !ties_ && hidden_.empty(); }

  // Appends the ids of a whole piece, or of a stretch of one between two cuts, without looking it
  // up anywhere. Throws kData for a character without a token. Thread-safe with one Scratch a
  // thread.
  void merge(std::string_view piece, PairMerger::Scratch& scratch, std::vector<int32_t>& out) const;
  // Whether stretches between cuts() may be encoded apart.
  bool may_cut() const { return options_.continuing_prefix.empty() && options_.word_end.empty(); }
  const CharCuts& cuts() const { return cuts_; }
  // Joins what was appended from `at` on to what stands before it in the same piece, which began at
  // `first`: two unknown tokens become one.
  void fuse(size_t first, size_t at, std::vector<int32_t>& out) const;

 private:
  struct Halves {
    int32_t left, right;
  };

  CharBpe(Vocabulary vocabulary, CharBpeOptions options);
  void add_characters(std::span<const PieceRole> roles);
  void add_hidden_characters(std::span<const PieceRole> roles);
  std::vector<int32_t> add_scored_merges(std::span<const float> scores,
                                         std::span<const PieceRole> roles,
                                         std::vector<int32_t>& order, std::string_view origin);
  int32_t part_id(std::string_view part, std::span<const PieceRole> roles) const;
  size_t start(std::string_view piece, PairMerger::Scratch& scratch) const;
  size_t start_without_token(std::string_view character, size_t n, PairMerger::Scratch& s) const;
  void finish(int32_t id, std::vector<int32_t>& out) const;

  std::vector<Merge> merges_;
  CharBpeOptions options_;
  // By (inside the piece) + 2 (at its end); without affixes only the first is used.
  std::array<CharIds, 4> characters_;
  std::array<int32_t, 256> byte_ids_;
  PairMerger merger_;
  CharCuts cuts_;
  bool ties_ = false;
  // Characters that pieces are made of though they are none themselves: their ids stand after the
  // vocabulary and never leave the model.
  std::vector<char32_t> hidden_;
  std::vector<Halves> unused_;  // by id; left = -1 where nothing is taken apart
};

}  // namespace lathe
