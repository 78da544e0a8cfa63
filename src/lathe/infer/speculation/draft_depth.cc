#include "lathe/infer/speculation/draft_depth.h"

#include <algorithm>
#include <cmath>

namespace lathe {
namespace {

constexpr double kForget = 0.97;      // of a pass, per pass
constexpr double kForgetGuess = 0.9;  // of a sequence's guesses, per pass with guesses
constexpr double kRowBefore =
    0.15;  // what a further row adds to a pass, until it has been measured

}  // namespace

void DraftDepth::record(DraftRecord& r, int64_t guessed, int64_t right) {
  if (guessed == 0) return;
  r.right = kForgetGuess * r.right + static_cast<double>(right);
  r.wrong = kForgetGuess * r.wrong + (right < guessed ? 1 : 0);
}

void DraftDepth::passed(int64_t rows, double seconds) {
  const auto n = static_cast<double>(rows);
  sums_.weight = kForget * sums_.weight + 1;
  sums_.rows = kForget * sums_.rows + n;
  sums_.rows2 = kForget * sums_.rows2 + n * n;
  sums_.time = kForget * sums_.time + seconds;
  sums_.rows_time = kForget * sums_.rows_time + n * seconds;
}

void DraftDepth::drafted(int64_t guesses, double seconds) {
  draft_seconds_ = kForget * draft_seconds_ + seconds;
  draft_guesses_ = kForget * draft_guesses_ + static_cast<double>(guesses);
}

// Least squares; where all passes had the same number of rows they say nothing about a further one.
DraftDepth::Cost DraftDepth::cost() const {
  if (sums_.weight == 0) return {1.0, kRowBefore};
  const double rows = sums_.rows / sums_.weight, time = sums_.time / sums_.weight;
  const double variance = sums_.rows2 / sums_.weight - rows * rows;
  double row = kRowBefore * time / (1 + kRowBefore * (rows - 1));
  if (variance > 0.05) row = (sums_.rows_time / sums_.weight - rows * time) / variance;
  row = std::clamp(row, 0.01 * time / rows, time / rows);
  return {std::max(0.0, time - row * rows), row};
}

int64_t DraftDepth::choose(DraftRecord& r, int64_t decoding) const {
  const Cost pass = cost();
  const double rows = static_cast<double>(std::max<int64_t>(1, decoding));
  const double draft = draft_guesses_ > 0 ? draft_seconds_ / draft_guesses_ : 0;
  // All sequences of the pass are taken to guess alike.
  const double more = rows * (pass.row + draft) / (pass.first + rows * pass.row);
  const double acceptance = r.acceptance();
  double tokens = 1, best_rate = 1;
  int64_t best = 0;
  for (int64_t k = 1; k <= most_; ++k) {
    tokens += std::pow(acceptance, static_cast<double>(k));
    const double rate = tokens / (1 + more * static_cast<double>(k));
    if (rate > best_rate) {
      best_rate = rate;
      best = k;
    }
  }
  if (best == 0 && ++r.passes_without >= kTrial) best = 1;
  if (best > 0) r.passes_without = 0;
  return best;
}

}  // namespace lathe
