// Unigram training as its definition reads: all segmentations one by one, in fp64. The executable
// specification; exponential, so for short words only.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lathe::testing {

using PieceScores = std::map<std::string, double, std::less<>>;
using PieceSequence = std::vector<std::string>;

// f(pieces, log-probability) for every segmentation. A character without a piece scores `unknown`.
inline void for_each_segmentation(std::string_view word, const PieceScores& scores, double unknown,
                                  const std::function<void(const PieceSequence&, double)>& f) {
  PieceSequence pieces;
  const std::function<void(size_t, double)> go = [&](size_t at, double score) {
    if (at == word.size()) return f(pieces, score);
    for (size_t n = 1; at + n <= word.size(); ++n) {
      const auto found = scores.find(word.substr(at, n));
      const bool known = found != scores.end();
      if (!known && n > 1) continue;
      pieces.emplace_back(word.substr(at, n));
      go(at + n, score + (known ? found->second : unknown));
      pieces.pop_back();
    }
  };
  go(0, 0);
}

// How often each piece is expected in the word.
inline std::map<std::string, double> reference_expected(std::string_view word,
                                                        const PieceScores& scores, double unknown) {
  double z = 0;
  std::map<std::string, double> sums;
  for_each_segmentation(word, scores, unknown, [&](const PieceSequence& pieces, double score) {
    z += std::exp(score);
    for (const std::string& piece : pieces)
      if (scores.count(piece) > 0) sums[piece] += std::exp(score);
  });
  for (auto& [piece, sum] : sums) sum /= z;
  return sums;
}

// Log-probability of the best segmentation, without that into the whole word if `split`; -infinity
// where there is none.
inline double reference_best(std::string_view word, const PieceScores& scores, double unknown,
                             bool split) {
  double best = -INFINITY;
  for_each_segmentation(word, scores, unknown, [&](const PieceSequence& pieces, double score) {
    if (!split || pieces.size() > 1) best = std::max(best, score);
  });
  return best;
}

// ψ by its defining property: the derivative of ln Γ.
inline double reference_digamma(double x) {
  const double h = 1e-4 * x;
  return (std::lgamma(x + h) - std::lgamma(x - h)) / (2 * h);
}

}  // namespace lathe::testing
