#include "lathe/text/train/piece_lattice.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lathe/base/utf8.h"

namespace lathe {

PieceModel::PieceModel(std::vector<std::string_view> ascending_pieces)
    : pieces_(std::move(ascending_pieces)), trie_(pieces_) {}

void PieceModel::set_scores(std::vector<double> scores) {
  scores_ = std::move(scores);
  probabilities_.resize(scores_.size());
  alive_ = 0;
  min_score_ = 0;
  for (size_t i = 0; i < scores_.size(); ++i) {
    probabilities_[i] = std::exp(scores_[i]);
    if (probabilities_[i] == 0) continue;
    ++alive_;
    min_score_ = std::min(min_score_, scores_[i]);
  }
  unknown_probability_ = std::exp(min_score_ - kUnknownPenalty);
}

void PieceLattice::Logarithms::add(double& sum, double x) {
  const double high = std::max(sum, x), low = std::min(sum, x);
  sum = high + std::log1p(std::exp(low - high));
}

double PieceLattice::Logarithms::ratio(double x, double z) { return std::exp(x - z); }

void PieceLattice::set_word(std::string_view word) {
  edges_.clear();
  length_ = word.size();
  const uint8_t *begin = as_bytes(word), *end = begin + word.size();
  for (size_t at = 0; at < word.size();) {
    const size_t character = decode_utf8(begin + at, end).size;
    bool alone = false;
    model_.trie().for_each_prefix(word.substr(at), [&](size_t length, int32_t piece) {
      if (!model_.alive(piece)) return;
      alone = alone || length == character;
      edges_.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(at + length), piece});
    });
    if (!alone)
      edges_.push_back(
          {static_cast<uint32_t>(at), static_cast<uint32_t>(at + character), kUnknown});
    at += character;
  }
}

const std::vector<int32_t>& PieceLattice::best(bool split) {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  forward_.assign(length_ + 1, kNone);
  arrived_by_.resize(length_ + 1);
  forward_[0] = 0;
  for (size_t i = 0; i < edges_.size(); ++i) {
    const Edge& e = edges_[i];
    if (split && e.begin == 0 && e.end == length_) continue;
    const double score = forward_[e.begin] + model_.score(e.piece);
    if (score <= forward_[e.end]) continue;
    forward_[e.end] = score;
    arrived_by_[e.end] = static_cast<uint32_t>(i);
  }
  path_.clear();
  best_score_ = forward_[length_];
  if (best_score_ == kNone) return path_;
  for (size_t at = length_; at > 0; at = edges_[arrived_by_[at]].begin)
    path_.push_back(edges_[arrived_by_[at]].piece);
  std::reverse(path_.begin(), path_.end());
  return path_;
}

}  // namespace lathe
