// Trains the vocabularies of all kinds of tokenizers whose symbols are characters:
//
//   kBpe        byte-pair encoding over characters (Sennrich et al. 2016, arXiv:1508.07909), as
//               `sentencepiece` trains it: no piece of more than `longest_piece` characters
//   kUnigram    Unigram language model (Kudo 2018, arXiv:1804.10959), see unigram_pieces.h
//   kWordPiece  merges as in BPE, but what continues a word is written "##piece": by frequency as
//               `tokenizers` trains it, or by likelihood (Schuster and Nakajima 2012), as it was
//               made for BERT
//   kCharacter  the most frequent characters
//   kByte       256 pieces, each the byte of its id; there is nothing to train
//
// (Byte-level BPE: bpe_trainer.h.) The result is plain data. It is a function of the texts and the
// options alone: the same bytes for any number of threads. Counts are 64-bit.
//
// Memory. What is held are the distinct words with their counts, not the text. When they do not fit
// into memory_bytes, a sample stands for the rare ones (corpus_counts.h); TrainStats says how much
// was lost, and 0 means that the result is exact.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lathe/text/model/short_merge.h"
#include "lathe/text/normalize/normalizer.h"
#include "lathe/text/split/pretokenizer.h"
#include "lathe/text/train/bpe_merger.h"
#include "lathe/text/train/train_options.h"
#include "lathe/text/train/word_cutter.h"
#include "lathe/text/train/word_parts.h"

namespace lathe {

enum class VocabularyKind : uint8_t { kBpe, kUnigram, kWordPiece, kCharacter, kByte };

struct VocabularyOptions {
  VocabularyKind kind = VocabularyKind::kUnigram;
  int64_t vocab_size = 32000;  // everything counted; kByte has 256
  // These get the first ids, in this order. Neither occurs in a word. For `sentencepiece` they
  // begin with <unk>, <s>, </s>.
  std::vector<std::string> special_tokens;
  std::vector<std::string> user_symbols;  // found in the text and kept whole; they come next
  // The special token of what has no other; becomes the first when it is not listed. Empty: none.
  std::string unknown = "<unk>";
  bool byte_fallback = false;  // <0x00> to <0xFF> come next, for characters without a piece
  // The share of the text whose characters get pieces of their own.
  double character_coverage = 0.9995;
  int64_t min_count = 1;  // rarer pairs are not merged
  int32_t longest_piece = 16;
  // Borders that no piece crosses. WordPiece and characters are trained without.
  PartRules parts;
  SentenceUnit unit = SentenceUnit::kBetweenSpaces;
  MergeScore wordpiece_score = MergeScore::kFrequency;
  std::vector<double> weights;  // of sources, see CorpusCounts
  int64_t memory_bytes = int64_t{2} << 30;
};

inline constexpr std::string_view kContinuingPrefix = "##";  // of WordPiece

struct TrainedPiece {
  enum class Type : uint8_t { kNormal, kUnknown, kControl, kUser, kByte };
  std::string text;  // UTF-8; of VocabularyKind::kByte the byte itself
  // Unigram: log-probability. BPE: minus the rank, as `sentencepiece` writes it. Otherwise 0.
  double score = 0;
  Type type = Type::kNormal;
};

struct TrainedVocabulary {
  VocabularyKind kind = VocabularyKind::kUnigram;
  // By id. BPE: merged pieces by rank, then characters, most frequent first. Unigram: by score.
  // WordPiece: characters in code point order, then "##" and characters, then merged pieces. May be
  // fewer than asked for when the text has no more.
  std::vector<TrainedPiece> pieces;
  std::vector<Merge> merges;  // BPE and WordPiece: ids, in the order in which they were learned
  int32_t unknown_id = -1;
  TrainStats stats;
};

// Every text is a sequence of sentences (options.unit); each is normalised, pre-tokenised, and its
// words are counted.
// Throws kConfig for options that cannot work (before it reads), and kData for texts without a
// single word or with more characters than the vocabulary holds.
TrainedVocabulary train_vocabulary(const CorpusFeed& feed, const Normalizer& normalizer,
                                   const PreTokenizer& pre_tokenizer,
                                   const VocabularyOptions& options,
                                   const TrainProgress& progress = {});

}  // namespace lathe
