// Other segmentations than the best one: the n best and random ones. Internal to text/model/.
#pragma once

#include "lathe/text/model/unigram_model.h"

namespace lathe {

// The n best segmentations of `text`, best first, by A* search from the end with the exact rest
// costs of a forward Viterbi pass. Two segmentations may have the same ids: they differ in what is
// unknown. The queue is cut to its best entries when it grows beyond 10,000, as in `sentencepiece`;
// then some of the n best of a long text may be missed. Throws kUsage unless 1 <= n <= 1024.
std::vector<TokenModel::Segmentation> unigram_nbest(const UnigramModel& model,
                                                    std::string_view text, int64_t n);

// One segmentation drawn with probability ∝ exp(alpha · score), by forward filtering and backward
// sampling. Number i of `rng` chooses the i-th piece from the end. Throws kUsage unless alpha is
// finite.
std::vector<int32_t> unigram_sample(const UnigramModel& model, std::string_view text, double alpha,
                                    const Rng& rng);

// TokenModel::lattice(): the probability of a piece is the sum over the segmentations that hold it
// of exp(score), of all of them. The best segmentation is the first of unigram_nbest().
std::vector<TokenModel::LatticePiece> unigram_lattice(const UnigramModel& model,
                                                      std::string_view text);

}  // namespace lathe
