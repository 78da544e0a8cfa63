// Byte-pair encoding on bytes: the model (Sennrich et al. 2016, arXiv:1508.07909; on bytes: Radford et al.
// 2019).
//
//   tokens = the piece's bytes
//   while some adjacent pair has a merge: apply the merge of lowest rank, leftmost first
//
// encode() gives exactly that result. A piece of n bytes costs O(n), whatever it holds; O(n log n)
// at worst when there is an unknown token or a token comes before one of its parts in rank.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "lathe/text/model/byte_pairs.h"
#include "lathe/text/model/char_cuts.h"
#include "lathe/text/model/forward_bpe.h"
#include "lathe/text/model/pair_merger.h"
#include "lathe/text/model/token_model.h"
#include "lathe/text/model/word_memory.h"
#include "lathe/text/vocabulary.h"

namespace lathe {

struct ByteBpeOptions {
  bool ignore_merges = false;      // a piece that is a token is that token, whatever merging gives
  std::optional<int32_t> unknown;  // token of a byte that has none; without it, an error
  bool fuse_unknown = false;       // one such token for a run of them
  bool shared_ranks = false;  // the rank of a merge is its result's id, not its place in the list
};

class ByteBpe : public TokenModel {
 public:
  // At most PairTable::kMaxRank `merges` (else kFormat) in rank order (unless shared_ranks), ids
  // checked by the caller against `vocabulary`; of a pair listed twice the later rank counts.
  ByteBpe(Vocabulary vocabulary, std::vector<Merge> merges, const ByteBpeOptions& options);

  std::string_view type() const override { return "BPE"; }
  int64_t merge_count() const override { return static_cast<int64_t>(merges_.size()); }
  int32_t unknown_id() const override { return options_.unknown.value_or(-1); }
  std::unique_ptr<TextEncoder> encoder(const PreTokenizer& pre_tokenizer) const override;
  std::vector<int32_t> encode_with_dropout(std::string_view piece, double dropout,
                                           const Rng& rng) const override;
  std::optional<Weight> weight_of(int32_t id) const override;

  const std::vector<Merge>& merges() const { return merges_; }
  const ByteBpeOptions& options() const { return options_; }

  // Buffers reused between pieces; one per thread.
  struct Scratch : PairMerger::Scratch {
    std::vector<int32_t> window;
    ForwardBpe::Scratch forward;
    int64_t windows = 0;  // merged, in all calls
  };

  // Appends the tokens of one pre-token. Throws kData for a byte without a token (and no unknown
  // token), and for a piece of 4 GiB or more. Thread-safe with one Scratch per thread.
  void encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const;

  // The token that a whole piece is under ignore_merges, if it is one.
  std::optional<int32_t> whole_piece(std::string_view piece) const;
  // Appends what merging makes of `part`, which may be a piece's stretch between two cuts: a token
  // that merging cannot make is not looked for. Errors and threads as for encode().
  void merge(std::string_view part, Scratch& scratch, std::vector<int32_t>& out) const;
  // The two ways of merge() for long parts without an unknown token. False, with nothing appended,
  // where a way is closed: windows cannot be joined or are not worth it; some token comes before
  // one of its parts.
  bool merge_windows(std::string_view part, Scratch& scratch, std::vector<int32_t>& out) const;
  bool merge_forward(std::string_view part, Scratch& scratch, std::vector<int32_t>& out) const;
  // Where a piece may be cut before it is merged.
  const CharCuts& cuts() const { return cuts_; }

  // The token that a whole piece of at most kWordBytes bytes is known to become, or -1.
  int32_t whole_word(const WordKey& key) const { return words_.find(key); }

 private:
  // The tree of ForwardBpe, made when the first long piece comes: most programs never see one.
  struct Forward {
    std::once_flag once;
    std::unique_ptr<ForwardBpe> bpe;  // stays empty where it is not exact
  };

  const ForwardBpe* forward() const;
  void merge_pairs(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const;
  void require_token(uint8_t byte) const;
  size_t start(std::string_view piece, Scratch& scratch) const;
  size_t start_certain(std::string_view piece, Scratch& scratch) const;
  void prepare();

  std::vector<Merge> merges_;
  ByteBpeOptions options_;
  BytePairs::ByteIds byte_ids_{};
  PairMerger merger_;
  BytePairs byte_pairs_;
  WordTable words_;
  CharCuts cuts_;
  std::unique_ptr<Forward> forward_ = std::make_unique<Forward>();
  // With ignore_merges: which hashes tokens above kWordBytes have, so that few words look further.
  std::vector<uint64_t> long_words_;
};

}  // namespace lathe
