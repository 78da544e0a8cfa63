#include "lathe/text/model/unigram_lattice.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "lathe/base/error.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "unigram model";
constexpr int32_t kUnknown = -1;

// All pieces that stand in a text.
class Lattice {
 public:
  struct Piece {
    int32_t start, end, id;
    double score;
  };

  Lattice(const UnigramModel& model, std::string_view text) : model_(model), text_(text) {
    require(text.size() < std::numeric_limits<int32_t>::max(), ErrorKind::kData, kWhere,
            "a text of {} bytes has too many segmentations, expected less than 2 GiB; split it",
            text.size());
    const uint8_t *begin = as_bytes(text), *limit = begin + text.size();
    for (const uint8_t* p = begin; p < limit;) {
      const size_t size = decode_utf8(p, limit).size;
      const auto start = static_cast<int32_t>(p - begin);
      bool single = false;
      model.for_each_piece(p, limit, [&](const uint8_t* q, int32_t id) {
        single |= static_cast<size_t>(q - p) == size;
        pieces_.push_back({start, static_cast<int32_t>(q - begin), id, model.lattice_score(id)});
      });
      p += size;
      if (!single)
        pieces_.push_back(
            {start, static_cast<int32_t>(p - begin), kUnknown, model.unknown_score()});
    }
    by_end_.assign(text.size() + 2, 0);
    for (const Piece& piece : pieces_) ++by_end_[static_cast<size_t>(piece.end) + 1];
    for (size_t i = 1; i < by_end_.size(); ++i) by_end_[i] += by_end_[i - 1];
    ending_.resize(pieces_.size());
    std::vector<int32_t> next(by_end_.begin(), by_end_.end() - 1);
    for (size_t i = 0; i < pieces_.size(); ++i)
      ending_[next[pieces_[i].end]++] = static_cast<int32_t>(i);
  }

  int32_t size() const { return static_cast<int32_t>(text_.size()); }
  // In the order of their starts, and of their ends where these are equal.
  const std::vector<Piece>& pieces() const { return pieces_; }
  const Piece& piece(int32_t index) const { return pieces_[index]; }
  // Indices of the pieces that end at `at`, the longest first.
  std::span<const int32_t> ending(int32_t at) const {
    return std::span(ending_).subspan(by_end_[at], by_end_[at + 1] - by_end_[at]);
  }

  // The ids of a path, given by indices in the order of the text.
  std::vector<int32_t> ids_of(const std::vector<int32_t>& path) const {
    std::vector<int32_t> ids;
    const uint8_t* begin = as_bytes(text_);
    for (size_t i = 0; i < path.size(); ++i) {
      const Piece& first = piece(path[i]);
      if (!is_unknown(first)) {
        ids.push_back(first.id);
        continue;
      }
      while (i + 1 < path.size() && is_unknown(piece(path[i + 1]))) ++i;
      model_.append_unknown(begin + first.start, begin + piece(path[i]).end, ids);
    }
    return ids;
  }

 private:
  bool is_unknown(const Piece& piece) const {
    return piece.id == kUnknown || piece.id == model_.unknown_id();
  }

  const UnigramModel& model_;
  std::string_view text_;
  std::vector<Piece> pieces_;
  std::vector<int32_t> by_end_, ending_;  // ending_[by_end_[e], by_end_[e + 1]) end at e
};

// Of each piece, the score of the best way through it from the beginning. Real as in
// UnigramArithmetic: the order of segmentations that are nearly as good depends on it.
template <class Real>
std::vector<Real> best_scores(const Lattice& lattice, Real& whole) {
  std::vector<Real> best(lattice.pieces().size());
  // The best way to a place, and then `score`.
  const auto best_to = [&](int32_t at, Real score) {
    if (at == 0) return score;
    Real top = -std::numeric_limits<Real>::infinity();
    for (const int32_t i : lattice.ending(at)) top = std::max(top, best[i] + score);
    return top;
  };
  for (size_t i = 0; i < best.size(); ++i)
    best[i] = best_to(lattice.pieces()[i].start, static_cast<Real>(lattice.pieces()[i].score));
  whole = best_to(lattice.size(), 0);
  return best;
}

// A* search from the end of the text.
template <class Real>
class Search {
 public:
  explicit Search(const Lattice& lattice) : lattice_(lattice) {
    Real whole = 0;
    best_ = best_scores<Real>(lattice, whole);
    add({-1, -1, 0, whole});
  }

  std::vector<TokenModel::Segmentation> run(size_t n) {
    std::vector<TokenModel::Segmentation> results;
    while (!queue_.empty() && results.size() < n) {
      const int32_t top = take();
      const Hypothesis h = made_[top];
      const int32_t at = h.piece < 0 ? lattice_.size() : lattice_.piece(h.piece).start;
      if (at == 0) {
        results.push_back({lattice_.ids_of(path_of(top)), h.whole});
        continue;
      }
      for (const int32_t i : lattice_.ending(at))
        add({i, top, static_cast<Real>(lattice_.piece(i).score) + h.rest, best_[i] + h.rest});
      if (queue_.size() >= kMaxQueue) shorten(std::min(kMinQueue, 10 * n));
    }
    return results;
  }

 private:
  static constexpr size_t kMaxQueue = 10000, kMinQueue = 512, kMaxMade = size_t{1} << 25;
  // The end of a segmentation: a piece and what follows it.
  struct Hypothesis {
    int32_t piece, next;  // next: in made_, −1: none
    Real rest, whole;     // score of what is there; of the best segmentation that ends so
  };

  void add(const Hypothesis& h) {
    require(made_.size() < kMaxMade, ErrorKind::kData, kWhere,
            "the text has too many segmentations that are nearly as good; ask for fewer, or split "
            "the text");
    made_.push_back(h);
    queue_.push_back(static_cast<int32_t>(made_.size()) - 1);
    std::push_heap(queue_.begin(), queue_.end(), worse());
  }
  int32_t take() {
    std::pop_heap(queue_.begin(), queue_.end(), worse());
    const int32_t top = queue_.back();
    queue_.pop_back();
    return top;
  }
  void shorten(size_t kept) {
    std::vector<int32_t> shorter;
    for (; kept > 0; --kept) {
      shorter.push_back(take());
      std::push_heap(shorter.begin(), shorter.end(), worse());
    }
    queue_ = std::move(shorter);
  }
  auto worse() const {
    return [this](int32_t a, int32_t b) { return made_[a].whole < made_[b].whole; };
  }
  std::vector<int32_t> path_of(int32_t top) const {
    std::vector<int32_t> path;
    for (; made_[top].piece >= 0; top = made_[top].next) path.push_back(made_[top].piece);
    return path;
  }

  const Lattice& lattice_;
  std::vector<Real> best_;
  std::vector<Hypothesis> made_;
  std::vector<int32_t> queue_;  // a heap of indices into made_
};

constexpr double kNone = -std::numeric_limits<double>::infinity();

double log_add(double a, double b) {
  if (a < b) std::swap(a, b);
  return std::isinf(b) ? a : a + std::log1p(std::exp(b - a));
}

// log Σ exp(alpha · score) over all ways from the beginning to a place.
std::vector<double> mass_before(const Lattice& lattice, double alpha) {
  std::vector<double> mass(static_cast<size_t>(lattice.size()) + 1, kNone);
  mass[0] = 0;
  for (const Lattice::Piece& piece : lattice.pieces())
    mass[piece.end] = log_add(mass[piece.end], mass[piece.start] + alpha * piece.score);
  return mass;
}

// The same from a place to the end, alpha = 1.
std::vector<double> mass_after(const Lattice& lattice) {
  std::vector<double> mass(static_cast<size_t>(lattice.size()) + 1, kNone);
  mass[lattice.size()] = 0;
  for (size_t i = lattice.pieces().size(); i-- > 0;) {
    const Lattice::Piece& piece = lattice.pieces()[i];
    mass[piece.start] = log_add(mass[piece.start], piece.score + mass[piece.end]);
  }
  return mass;
}

// Indices of the pieces of the best segmentation, from the end.
template <class Real>
std::vector<int32_t> best_path(const Lattice& lattice) {
  Real whole = 0;
  const std::vector<Real> best = best_scores(lattice, whole);
  std::vector<int32_t> path;
  for (int32_t at = lattice.size(); at > 0; at = lattice.piece(path.back()).start)
    path.push_back(
        *std::ranges::max_element(lattice.ending(at), {}, [&](int32_t i) { return best[i]; }));
  return path;
}

bool adds_floats(const UnigramModel& model) {
  return model.options().arithmetic == UnigramArithmetic::kFloatThroughText;
}

}  // namespace

std::vector<TokenModel::Segmentation> unigram_nbest(const UnigramModel& model,
                                                    std::string_view text, int64_t n) {
  require(n >= 1 && n <= 1024, ErrorKind::kUsage, kWhere,
          "{} best segmentations were asked for, expected 1 to 1024", n);
  if (text.empty()) return {{}};
  const Lattice lattice(model, text);
  return adds_floats(model) ? Search<float>(lattice).run(static_cast<size_t>(n))
                            : Search<double>(lattice).run(static_cast<size_t>(n));
}

std::vector<int32_t> unigram_sample(const UnigramModel& model, std::string_view text, double alpha,
                                    const Rng& rng) {
  require(std::isfinite(alpha), ErrorKind::kUsage, kWhere, "alpha is {}, expected a finite number",
          alpha);
  const Lattice lattice(model, text);
  const std::vector<double> mass = mass_before(lattice, alpha);
  std::vector<int32_t> path;
  for (int32_t at = lattice.size(); at > 0; at = lattice.piece(path.back()).start) {
    double left = rng.uniform64(path.size());
    const std::span<const int32_t> choices = lattice.ending(at);
    size_t chosen = 0;
    for (; chosen + 1 < choices.size(); ++chosen) {
      const Lattice::Piece& piece = lattice.piece(choices[chosen]);
      left -= std::exp(mass[piece.start] + alpha * piece.score - mass[at]);
      if (left < 0) break;
    }
    path.push_back(choices[chosen]);
  }
  std::reverse(path.begin(), path.end());
  return lattice.ids_of(path);
}

std::vector<TokenModel::LatticePiece> unigram_lattice(const UnigramModel& model,
                                                      std::string_view text) {
  const Lattice lattice(model, text);
  const std::vector<double> before = mass_before(lattice, 1), after = mass_after(lattice);
  std::vector<TokenModel::LatticePiece> pieces;
  for (const Lattice::Piece& p : lattice.pieces())
    pieces.push_back(
        {.begin = static_cast<size_t>(p.start),
         .end = static_cast<size_t>(p.end),
         .id = p.id,
         .score = p.score,
         .probability = std::exp(before[p.start] + p.score + after[p.end] - after[0])});
  for (const int32_t i :
       adds_floats(model) ? best_path<float>(lattice) : best_path<double>(lattice))
    pieces[i].best = true;
  return pieces;
}

}  // namespace lathe
