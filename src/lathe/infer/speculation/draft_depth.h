// How many tokens to guess: as many as make the expected number of tokens per second largest, from
// the acceptance of earlier guesses and from how long passes take. If α is the chance that a guess is
// right given that those before it were, k guesses give 1 + α + … + αᵏ tokens in a pass that takes
// 1 + c·k times as long (section 3.3 of Leviathan et al. 2022, arXiv:2211.17192).
//
// Clocks have a say here, and therefore nothing but the speed may depend on the result.
#pragma once

#include <cstdint>

namespace lathe {

// The fate of the guesses of one sequence; older ones count less.
struct DraftRecord {
  double right = 1.0, wrong = 0.5;
  int64_t passes_without = 0;
  double acceptance() const { return right / (right + wrong); }
};

class DraftDepth {
 public:
  explicit DraftDepth(int64_t most) : most_(most) {}

  // How many guesses the next pass should have for a sequence, if `decoding` are in the pass. Where
  // none pay, one is tried every kTrial passes.
  static constexpr int64_t kTrial = 32;
  int64_t choose(DraftRecord& record, int64_t decoding) const;

  static void record(DraftRecord& record, int64_t guessed, int64_t right);
  // A pass over `rows` tokens, all of sequences that decode, took so long.
  void passed(int64_t rows, double seconds);
  // To find `guesses` took so long.
  void drafted(int64_t guesses, double seconds);

  // The time of a pass is first + row·rows.
  struct Cost {
    double first, row;
  };
  Cost cost() const;

 private:
  // Sums over earlier passes, with weights that decay.
  struct Sums {
    double weight = 0, rows = 0, rows2 = 0, time = 0, rows_time = 0;
  };
  int64_t most_;
  Sums sums_;
  double draft_seconds_ = 0, draft_guesses_ = 0;
};

}  // namespace lathe
