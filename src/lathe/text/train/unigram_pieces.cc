#include "lathe/text/train/unigram_pieces.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "lathe/base/parallel.h"
#include "lathe/base/utf8.h"
#include "lathe/text/train/piece_lattice.h"
#include "lathe/text/train/seed_pieces.h"

namespace lathe {
namespace {

constexpr double kDead = -std::numeric_limits<double>::infinity();
// With more, the result is less compact (and less likely: rare substrings take part in the first
// estimates and are gone in the end).
constexpr int64_t kSeedsPerPiece = 8, kFewestSeeds = 100000;
constexpr int64_t kBytesPerSeed = 192;  // its place in trie and tables, with room for others
constexpr double kKeptByPruning = 0.75, kBeforeTheLastCut = 1.1;
constexpr int kStepsBetweenPrunings = 2;
constexpr double kLeastExpected = 0.5;
constexpr double kWorthLookingUp = 0.8;  // share of living pieces below which the dead are removed

// ψ(x) for x > 0: recurrence up to 7, then the asymptotic series about x − 1/2.
double digamma(double x) {
  double result = 0;
  for (; x < 7; ++x) result -= 1 / x;
  const double shifted = x - 0.5, r = 1 / (shifted * shifted);
  return result + std::log(shifted) +
         r * (1.0 / 24 - r * (7.0 / 960 - r * (31.0 / 8064 - r * (127.0 / 30720))));
}

class UnigramLearner {
 public:
  UnigramLearner(const WordList& words, const Alphabet& alphabet, const UnigramLimits& limits,
                 const TrainProgress& progress)
      : words_(words),
        alphabet_(alphabet),
        limits_(limits),
        progress_(progress),
        model_(make_seeds()) {
    // Expected counts together are at most the characters of the text.
    double total = 0;
    for (int64_t i = 0; i < words.size(); ++i)
      total += static_cast<double>(words.count(i)) * static_cast<double>(words.word(i).size());
    const int bits = std::max(0, static_cast<int>(std::ceil(std::log2(total + 1))));
    fraction_ = std::ldexp(1.0, std::clamp(61 - bits, 0, 24));
  }

  std::vector<ScoredPiece> run() {
    const auto wanted =
        static_cast<int64_t>(kBeforeTheLastCut * static_cast<double>(limits_.vocab_size));
    const int64_t seeds = model_.alive();
    for (;;) {
      for (int step = 0; step < kStepsBetweenPrunings; ++step) {
        report(seeds - model_.alive(), std::max<int64_t>(seeds - wanted, 1));
        maximise(expected_counts());
      }
      if (model_.alive() <= wanted) break;
      prune(wanted);
    }
    return final_pieces();
  }

 private:
  void report(int64_t done, int64_t total) const {
    if (progress_) progress_("pruning", std::clamp<int64_t>(done, 0, total), total);
  }

  // All characters, and frequent substrings, with scores in proportion to count · characters.
  PieceModel make_seeds() {
    if (progress_) progress_("seeds", 0, 1);
    const int64_t useful = std::max(kFewestSeeds, kSeedsPerPiece * limits_.vocab_size);
    const int64_t limit = std::min(useful, limits_.memory_bytes / kBytesPerSeed);
    std::vector<std::pair<std::string_view, double>> seeds;
    for (const Alphabet::Character& c : alphabet_.characters()) append_utf8(characters_, c.value);
    size_t at = 0;
    for (const Alphabet::Character& c : alphabet_.characters()) {
      const uint8_t* p = as_bytes(characters_) + at;
      const size_t size = decode_utf8(p, as_bytes(characters_) + characters_.size()).size;
      seeds.emplace_back(std::string_view(characters_).substr(at, size),
                         static_cast<double>(c.count));
      at += size;
    }
    for (const SeedPiece& s : seed_pieces(words_, limits_.longest, limit, limits_.once))
      seeds.emplace_back(std::string_view(words_.text()).substr(s.at, s.length), s.score);
    std::sort(seeds.begin(), seeds.end());
    double total = 0;
    for (const auto& [text, score] : seeds) total += score;
    std::vector<std::string_view> pieces;
    std::vector<double> scores;
    for (const auto& [text, score] : seeds) {
      pieces.push_back(text);
      scores.push_back(std::log(score / total));
    }
    PieceModel model(std::move(pieces));
    model.set_scores(std::move(scores));
    return model;
  }

  // Sums of f(word, add) over all words, by piece, where add(piece, amount) adds an integer.
  template <class F>
  std::vector<int64_t> sum_over_words(F&& f) const {
    const int64_t fit = limits_.memory_bytes / 8 / (model_.size() * int64_t{sizeof(int64_t)} + 1);
    const int64_t parts = std::clamp<int64_t>(fit, 1, thread_count());
    constexpr int64_t kBlock = 1024;
    const int64_t blocks = (words_.size() + kBlock - 1) / kBlock;
    std::vector<std::vector<int64_t>> sums(static_cast<size_t>(parts));
    parallel_ranges(parts, 1, [&](Range range, int) {
      for (int64_t part = range.begin; part < range.end; ++part) {
        std::vector<int64_t>& sum = sums[static_cast<size_t>(part)];
        sum.assign(static_cast<size_t>(model_.size()), 0);
        PieceLattice lattice(model_);
        const auto add = [&](int32_t piece, int64_t amount) { sum[piece] += amount; };
        for (int64_t block = part; block < blocks; block += parts)
          for (int64_t i = block * kBlock; i < std::min(words_.size(), (block + 1) * kBlock); ++i) {
            lattice.set_word(words_.word(i));
            f(lattice, words_.count(i), add);
          }
      }
    });
    for (size_t part = 1; part < sums.size(); ++part)
      for (size_t i = 0; i < sums[0].size(); ++i) sums[0][i] += sums[part][i];
    return std::move(sums[0]);
  }

  std::vector<int64_t> expected_counts() const {
    return sum_over_words([this](PieceLattice& lattice, int64_t count, const auto& add) {
      const double scale = static_cast<double>(count) * fraction_;
      lattice.for_each_posterior([&](int32_t piece, double posterior) {
        add(piece, static_cast<int64_t>(posterior * scale + 0.5));
      });
    });
  }

  void maximise(const std::vector<int64_t>& expected) {
    const double one = fraction_ * static_cast<double>(limits_.unit);
    std::vector<double> scores(expected.size(), kDead);
    double total = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      const double count = static_cast<double>(expected[i]) / one;
      if (count < kLeastExpected) continue;
      scores[i] = count;
      total += count;
    }
    const double log_total = total > 0 ? digamma(total) : 0;
    for (double& score : scores)
      if (score != kDead) score = digamma(score) - log_total;
    model_.set_scores(std::move(scores));
    if (model_.alive() < kWorthLookingUp * static_cast<double>(model_.size())) {
      std::vector<int64_t> alive;
      for (int64_t i = 0; i < model_.size(); ++i)
        if (model_.alive(i)) alive.push_back(i);
      keep(alive);
    }
  }

  // What the log-likelihood of the best segmentations falls by without the piece, divided by the
  // sum of all counts: freq · (log p(x) − Σ log p'(alternative)). Kept at any price (infinite):
  // what has no alternative. Dropped (dead): what no best segmentation uses.
  double loss_of(int64_t piece, const std::vector<int64_t>& used, double sum,
                 PieceLattice& lattice) const {
    const auto freq = static_cast<double>(used[piece]);
    if (used[piece] == 0 || !model_.alive(piece)) return kDead;
    lattice.set_word(model_.pieces()[piece]);
    const std::vector<int32_t>& alternative = lattice.best(true);
    if (alternative.empty()) return -kDead;
    if (lattice.best_score() > model_.score(piece)) return kDead;
    const double more = static_cast<double>(alternative.size()) - 1;
    const double log_sum_without = std::log(sum + freq * more);
    double without = 0;
    for (const int32_t a : alternative)
      without +=
          a < 0 ? model_.score(a) : std::log(static_cast<double>(used[a]) + freq) - log_sum_without;
    return freq * (std::log(freq / sum) - without);
  }

  void prune(int64_t wanted) {
    const std::vector<int64_t> used =
        sum_over_words([](PieceLattice& lattice, int64_t count, const auto& add) {
          for (const int32_t piece : lattice.best())
            if (piece >= 0) add(piece, count);
        });
    double sum = 0;
    for (const int64_t n : used) sum += static_cast<double>(n);
    std::vector<double> losses(used.size());
    parallel_ranges(model_.size(), 1024, [&](Range range, int) {
      PieceLattice lattice(model_);
      for (int64_t i = range.begin; i < range.end; ++i) losses[i] = loss_of(i, used, sum, lattice);
    });
    const auto kept = std::max(
        wanted, static_cast<int64_t>(kKeptByPruning * static_cast<double>(model_.alive())));
    keep(highest(losses, kept));
  }

  // The indices of the `n` highest that are not dead, and of all that are infinite, ascending.
  static std::vector<int64_t> highest(const std::vector<double>& losses, int64_t n) {
    std::vector<int64_t> order;
    for (size_t i = 0; i < losses.size(); ++i)
      if (losses[i] != kDead) order.push_back(static_cast<int64_t>(i));
    const auto infinite = std::count(losses.begin(), losses.end(), -kDead);
    n = std::min<int64_t>(std::max<int64_t>(n, infinite), static_cast<int64_t>(order.size()));
    std::nth_element(order.begin(), order.begin() + n, order.end(), [&](int64_t a, int64_t b) {
      return losses[a] != losses[b] ? losses[a] > losses[b] : a < b;
    });
    order.resize(static_cast<size_t>(n));
    std::sort(order.begin(), order.end());
    return order;
  }

  void keep(const std::vector<int64_t>& kept) {
    std::vector<std::string_view> pieces;
    std::vector<double> scores;
    for (const int64_t i : kept) {
      pieces.push_back(model_.pieces()[i]);
      scores.push_back(model_.score(i));
    }
    model_ = PieceModel(std::move(pieces));
    model_.set_scores(std::move(scores));
  }

  // Every covered character, those that have died with a score below all others; then the best.
  std::vector<ScoredPiece> final_pieces() const {
    constexpr double kStep = 1e-4;  // so that no two of them have the same score
    std::vector<ScoredPiece> chosen, others;
    std::vector<double> score_of(alphabet_.characters().size(), kDead);
    for (int64_t i = 0; i < model_.size(); ++i) {
      if (!model_.alive(i)) continue;
      const std::string_view piece = model_.pieces()[i];
      const CodePoint c = decode_utf8(as_bytes(piece), as_bytes(piece) + piece.size());
      if (c.size == piece.size()) {
        score_of[alphabet_.index_of(c.value)] = model_.score(i);
      } else {
        others.push_back({std::string(piece), model_.score(i)});
      }
    }
    double lowest = model_.min_score();
    for (size_t i = 0; i < score_of.size(); ++i) {
      std::string text;
      append_utf8(text, alphabet_.characters()[i].value);
      if (score_of[i] == kDead) score_of[i] = lowest += kStep;
      chosen.push_back({std::move(text), score_of[i]});
    }
    const auto better = [](const ScoredPiece& a, const ScoredPiece& b) {
      return a.score != b.score ? a.score > b.score : a.text < b.text;
    };
    std::sort(others.begin(), others.end(), better);
    const auto room = static_cast<size_t>(
        std::max<int64_t>(0, limits_.pieces - static_cast<int64_t>(chosen.size())));
    others.resize(std::min(others.size(), room));
    chosen.insert(chosen.end(), others.begin(), others.end());
    std::sort(chosen.begin(), chosen.end(), better);
    return chosen;
  }

  const WordList& words_;
  const Alphabet& alphabet_;
  const UnigramLimits limits_;
  const TrainProgress& progress_;
  std::string characters_;
  PieceModel model_;
  double fraction_ = 1;  // expected counts are multiples of 1 / fraction_
};

}  // namespace

std::vector<ScoredPiece> learn_unigram(const WordList& words, const Alphabet& alphabet,
                                       const UnigramLimits& limits, const TrainProgress& progress) {
  return UnigramLearner(words, alphabet, limits, progress).run();
}

}  // namespace lathe
