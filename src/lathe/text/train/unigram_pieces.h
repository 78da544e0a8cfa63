// Unigram language model: the trainer's second half, from counted words to pieces with scores (Kudo
// 2018, arXiv:1804.10959). Internal to text/.
//
//   E step: expected count c(x) of every piece, over all segmentations of all words
//   M step: score(x) = ψ(c(x)) − ψ(Σ c),  ψ the digamma function: the variational step under a sparse
//           Dirichlet prior, which moves mass from rare pieces to frequent ones; pieces with
//           c(x) < 1/2 die
//   prune:  the loss of a piece is what the likelihood of the best segmentations falls by when the
//           piece is replaced by its own second best segmentation; the quarter with the least is
//           dropped, down to 1.1 times the vocabulary
//
// Twice E and M, then prune, until the pieces are few enough; the best by score are the vocabulary,
// with every covered character among them. All of it is that of `sentencepiece`'s trainer, but for
// the number of seeds: eight for each piece wanted.
//
// Sums over words are made of integers (expected counts in fixed point), so that they are the same
// in any order: the result does not depend on the number of threads or on the order of the words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lathe/text/train/alphabet.h"
#include "lathe/text/train/train_options.h"
#include "lathe/text/train/word_list.h"

namespace lathe {

struct UnigramLimits {
  int64_t pieces = 0;      // wanted, with the characters
  int64_t vocab_size = 0;  // with the special tokens too: pruning ends at 1.1 times it
  int32_t longest = 16;    // characters of a piece
  int64_t unit = 1;        // counts of words are multiples of 1 / unit
  int64_t once = 1;        // the highest count of a word that may have been met only once
  int64_t memory_bytes = int64_t{2} << 30;
};

struct ScoredPiece {
  std::string text;
  double score;  // log-probability
};

// Best first; fewer than wanted where the words have no more.
std::vector<ScoredPiece> learn_unigram(const WordList& words, const Alphabet& alphabet,
                                       const UnigramLimits& limits, const TrainProgress& progress);

}  // namespace lathe
