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

// Goes through the word once, with the walks of all pieces that begin further left side by side:
// they do not wait for each other's memory.
void PieceLattice::set_word(std::string_view word) {
  const PieceTrie& trie = model_.trie();
  edges_.clear();
  walks_.clear();
  length_ = word.size();
  const uint8_t *begin = as_bytes(word), *end = begin + word.size();
  for (uint32_t at = 0; at < word.size();) {
    const uint32_t next = at + decode_utf8(begin + at, end).size;
    walks_.push_back({at, PieceTrie::kRoot});
    for (uint32_t i = at; i < next; ++i) {
      size_t kept = 0;
      for (const Walk& walk : walks_) {
        const int32_t node = trie.child(walk.node, begin[i]);
        if (node != PieceTrie::kNone) walks_[kept++] = {walk.begin, node};
      }
      walks_.resize(kept);
    }
    for (const Walk& walk : walks_) {
      const int32_t piece = trie.piece(walk.node);
      if (piece != PieceTrie::kNone && model_.alive(piece))
        edges_.push_back({walk.begin, next, piece});
    }
    if (edges_.empty() || edges_.back().begin != at || edges_.back().end != next)
      edges_.push_back({at, next, kUnknown});
    at = next;
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
