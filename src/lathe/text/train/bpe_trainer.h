// Byte-pair encoding: the trainer (Sennrich et al. 2016, arXiv:1508.07909; on bytes).
//
//   vocabulary = special tokens, then the 256 bytes in the order of the byte alphabet
//   until the vocabulary is full: merge the pair of adjacent tokens that is most frequent within
//   pre-tokens; among equals, the one with the smaller left id, then the smaller right id
//
// The ids and the order of ties are those of `tokenizers`' BpeTrainer. Counts are 64-bit. The
// result is a function of the texts and the options alone: the same bytes for any number of
// threads.
//
// Memory. What is held are the distinct pre-tokens with their counts, not the text, of which there
// are at most CorpusCounts::kRoundBytes at a time. When the distinct pre-tokens exceed memory_bytes
// / kBytesPerByte bytes after a round, the rarest are forgotten: all with a count of at most k, for
// the smallest k that frees half. A word forgotten early and met again later counts from zero;
// BpeTrainStats says how much was lost, and 0 means that the result is exact.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/text_receiver.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

struct BpeTrainOptions {
  int64_t vocab_size = 32000;  // everything counted: special tokens, bytes, merges
  Pattern pattern = Pattern::kGpt2;
  std::vector<std::string> special_tokens;  // never trained across; they get the first ids
  int64_t min_count = 1;                    // rarer pairs are not merged
  int64_t memory_bytes = int64_t{2} << 30;
};

// Called on the caller's thread while merges are learned, with the tokens so far. May throw.
using BpeTrainProgress = std::function<void(int64_t vocab_size)>;

struct BpeTrainStats {
  int64_t bytes = 0;       // text read
  int64_t words = 0;       // pre-tokens in it
  int64_t distinct = 0;    // of which distinct, when merging began
  int64_t forgotten = 0;   // occurrences lost to the memory limit
  int64_t last_count = 0;  // how often the last merged pair occurred
};

struct TrainedTokenizer {
  Tokenizer tokenizer;  // may have fewer tokens than asked for when the text has no more pairs
  BpeTrainStats stats;
};

// `feed` hands every text to the receiver that it is given; the words of each are cut as encode()
// cuts them, whatever pieces it comes in. Throws kConfig for options that cannot work (before it
// reads) and kData for texts without a single word.
TrainedTokenizer train_bpe(const std::function<void(TextReceiver&)>& feed,
                           const BpeTrainOptions& options, const BpeTrainProgress& progress = {});

// The same on texts in memory.
TrainedTokenizer train_bpe(std::span<const std::string_view> texts, const BpeTrainOptions& options,
                           const BpeTrainProgress& progress = {});

}  // namespace lathe
