// All segmentations of a word into pieces: their sum, their best, and how much each piece takes
// part (Kudo 2018, arXiv:1804.10959). Internal to text/.
//
//   P(x_1 … x_n) = Π p(x_i),   Z = Σ over segmentations
//   posterior of an edge = α(begin) · p · β(end) / Z
//
// A character without a piece of its own is an edge of the piece kUnknown, whose score lies
// kUnknownPenalty below the lowest, so that there always is a segmentation.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lathe/text/train/piece_trie.h"

namespace lathe {

// The pieces and what they are worth. Set the scores with set_scores() before using them.
class PieceModel {
 public:
  static constexpr double kUnknownPenalty = 10;

  explicit PieceModel(std::vector<std::string_view> ascending_pieces);
  // Log-probabilities; -infinity for a piece that does not exist any more.
  void set_scores(std::vector<double> scores);

  int64_t size() const { return static_cast<int64_t>(pieces_.size()); }
  int64_t alive() const { return alive_; }
  bool alive(int64_t piece) const { return probabilities_[piece] > 0; }
  const std::vector<std::string_view>& pieces() const { return pieces_; }
  double score(int64_t piece) const {
    return piece < 0 ? min_score_ - kUnknownPenalty : scores_[piece];
  }
  double probability(int64_t piece) const {
    return piece < 0 ? unknown_probability_ : probabilities_[piece];
  }
  double min_score() const { return min_score_; }
  const PieceTrie& trie() const { return trie_; }

 private:
  std::vector<std::string_view> pieces_;
  PieceTrie trie_;
  std::vector<double> scores_, probabilities_;
  double min_score_ = 0, unknown_probability_ = 0;
  int64_t alive_ = 0;
};

// Of one thread; for one word after the other.
class PieceLattice {
 public:
  static constexpr int32_t kUnknown = -1;
  explicit PieceLattice(const PieceModel& model) : model_(model) {}

  void set_word(std::string_view word);

  // f(piece, posterior) for every edge of a known piece; an edge's piece may come several times.
  template <class F>
  void for_each_posterior(F&& f) {
    if (run_in<Probabilities>(f)) return;
    run_in<Logarithms>(f);  // the word is too improbable for a double
  }

  // The pieces of the best segmentation, first to last. With `split`, the word as a whole is not
  // among the segmentations; empty when there is no other. Among equals the one whose last piece is
  // longest, and so on.
  const std::vector<int32_t>& best(bool split = false);
  double best_score() const { return best_score_; }

 private:
  struct Edge {
    uint32_t begin, end;
    int32_t piece;
  };
  struct Probabilities;
  struct Logarithms;
  template <class Numbers, class F>
  bool run_in(F& f);

  const PieceModel& model_;
  size_t length_ = 0;
  struct Walk {
    uint32_t begin;
    int32_t node;
  };
  std::vector<Walk> walks_;
  std::vector<Edge> edges_;  // by end, then by begin
  std::vector<double> forward_, backward_, weights_;
  std::vector<uint32_t> arrived_by_;
  std::vector<int32_t> path_;
  double best_score_ = 0;
};

struct PieceLattice::Probabilities {
  static constexpr double kZero = 0, kOne = 1;
  static double weight(const PieceModel& m, int32_t piece) { return m.probability(piece); }
  static double times(double a, double b) { return a * b; }
  static void add(double& sum, double x) { sum += x; }
  // Far from both ends of the range, sums have lost nothing.
  static bool usable(double z) { return z > 1e-270 && z < 1e270; }
  static double ratio(double x, double z) { return x / z; }
};

struct PieceLattice::Logarithms {
  static constexpr double kZero = -1e300, kOne = 0;
  static double weight(const PieceModel& m, int32_t piece) { return m.score(piece); }
  static double times(double a, double b) { return a + b; }
  static void add(double& sum, double x);
  static bool usable(double) { return true; }
  static double ratio(double x, double z);
};

// Returns false, without having called f, when the numbers do not suffice.
template <class Numbers, class F>
bool PieceLattice::run_in(F& f) {
  forward_.assign(length_ + 1, Numbers::kZero);
  backward_.assign(length_ + 1, Numbers::kZero);
  weights_.resize(edges_.size());
  forward_[0] = backward_[length_] = Numbers::kOne;
  for (size_t i = 0; i < edges_.size(); ++i) {
    const Edge& e = edges_[i];
    weights_[i] = Numbers::times(forward_[e.begin], Numbers::weight(model_, e.piece));
    Numbers::add(forward_[e.end], weights_[i]);
  }
  const double z = forward_[length_];
  if (!Numbers::usable(z)) return false;
  for (size_t i = edges_.size(); i-- > 0;) {
    const Edge& e = edges_[i];
    if (e.piece != kUnknown)
      f(e.piece, Numbers::ratio(Numbers::times(weights_[i], backward_[e.end]), z));
    Numbers::add(backward_[e.begin],
                 Numbers::times(backward_[e.end], Numbers::weight(model_, e.piece)));
  }
  return true;
}

}  // namespace lathe
