// Byte-pair encoding: the model (Sennrich et al. 2016, arXiv:1508.07909; on bytes: Radford et al.
// 2019).
//
//   tokens = the piece's bytes
//   while some adjacent pair has a merge: apply the merge of lowest rank, leftmost first
//
// encode() gives exactly that result. A piece of n bytes costs O(n log n) at worst, whatever it
// holds.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "lathe/text/pair_table.h"
#include "lathe/text/vocabulary.h"

namespace lathe {

struct Merge {
  int32_t left, right, result;
};

struct BpeOptions {
  bool ignore_merges = false;      // a piece that is a token is that token, whatever merging gives
  std::optional<int32_t> unknown;  // token of a byte that has none; without it, an error
  bool fuse_unknown = false;       // one such token for a run of them
  bool shared_ranks = false;  // the rank of a merge is its result's id, not its place in the list
};

class BpeModel {
 public:
  // At most PairTable::kMaxRank `merges` (else kFormat) in rank order (unless shared_ranks), ids
  // checked by the caller against `vocabulary`; of a pair listed twice the later rank counts.
  BpeModel(Vocabulary vocabulary, std::vector<Merge> merges, const BpeOptions& options);

  const Vocabulary& vocabulary() const { return vocabulary_; }
  const std::vector<Merge>& merges() const { return merges_; }
  const BpeOptions& options() const { return options_; }

  // Buffers reused between pieces; one per thread.
  struct Scratch {
    std::vector<int32_t> ids, ranks;
    std::vector<uint32_t> previous, next;
    std::vector<uint64_t> heap;
    Merge last{-1, -1, -1};  // the last merge made
  };

  // Appends the tokens of one pre-token. Throws kData for a byte without a token (and no unknown
  // token), and for a piece of 4 GiB or more. Thread-safe with one Scratch per thread.
  void encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const;

  // The token that a whole piece of at most kWordBytes bytes is known to become, or -1.
  static constexpr size_t kWordBytes = 15;
  int32_t whole_word(const WordKey& key) const { return words_.find(key); }

 private:
  void merge_all(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const;
  size_t start(std::string_view piece, Scratch& scratch) const;
  void merge_short(size_t n, Scratch& scratch, std::vector<int32_t>& out) const;
  void merge_long(size_t n, Scratch& scratch, std::vector<int32_t>& out) const;
  void prepare();

  int32_t result_of(int32_t rank) const {
    return options_.shared_ranks ? rank : merges_[static_cast<size_t>(rank)].result;
  }
  int32_t rank_of(size_t place) const {
    return options_.shared_ranks ? merges_[place].result : static_cast<int32_t>(place);
  }

  Vocabulary vocabulary_;
  std::vector<Merge> merges_;
  BpeOptions options_;
  std::array<int32_t, 256> byte_ids_{};
  PairTable pairs_;
  WordTable words_;
  // With ignore_merges: which hashes tokens above kWordBytes have, so that few words look further.
  std::vector<uint64_t> long_words_;
};

}  // namespace lathe
