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
// are at most CountSteps::stretch_bytes at a time. When they do not fit, a sample stands for the
// rare ones (corpus_counts.h); TrainStats says how much was lost, and 0 means that the result is
// exact.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/tokenizer.h"
#include "lathe/text/train/train_options.h"

namespace lathe {

struct BpeTrainOptions {
  int64_t vocab_size = 32000;  // everything counted: special tokens, bytes, merges
  Pattern pattern = Pattern::kGpt2;
  std::vector<std::string> special_tokens;  // never trained across; they get the first ids
  int64_t min_count = 1;                    // rarer pairs are not merged
  int64_t memory_bytes = int64_t{2} << 30;
  std::vector<double> weights = {};  // of sources, see CorpusCounts
};

struct TrainedTokenizer {
  Tokenizer tokenizer;  // may have fewer tokens than asked for when the text has no more pairs
  TrainStats stats;
};

// `feed` hands every text to the receiver that it is given; the words of each are cut as encode()
// cuts them, whatever pieces it comes in. Throws kConfig for options that cannot work (before it
// reads) and kData for texts without a single word.
TrainedTokenizer train_bpe(const CorpusFeed& feed, const BpeTrainOptions& options,
                           const TrainProgress& progress = {});

// The same on texts in memory.
TrainedTokenizer train_bpe(std::span<const std::string_view> texts, const BpeTrainOptions& options,
                           const TrainProgress& progress = {});

}  // namespace lathe
