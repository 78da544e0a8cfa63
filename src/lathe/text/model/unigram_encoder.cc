// The text is cut where no piece reaches over a border (at U+2581, and see char_cuts.h): all
// segmentations meet there, so the best one up to there is part of the best one of the whole. What
// stands between two cuts, a word, is searched from the sum S that was reached (Viterbi 1967).
//
// Most words come again. What the search found is remembered, but the sum's rounding takes part in
// the choice, so it is remembered with a limit: it holds if |S| < limit. Let u be half the distance
// from 1 to the next number of the sum's type, n the number of the word's bytes, and H the largest
// magnitude of a candidate when S = 0.
//
//   A node of the word has a score of at most |S| + H in magnitude. So each addition is off by at
//   most e = 1.01 u (|S| + H), and a node's score after k additions by at most k e: the candidate
//   from its best predecessor is one of those compared, no winner is larger by more, and rounding
//   is monotonous. Say that on the best path each node's winner beats all others by at least m in
//   exact arithmetic. Then the same candidates win if m > 2 (n + 1) e. m is itself computed in
//   float64 from S = 0, off by at most 2 n u H for either type. So
//
//       limit = m / (2.02 (n + 1) u) - 2 H
//
// A result that holds is taken over, and its scores are added to the sum one after the other, which
// are the additions of the search.
//
// A character that no piece holds, a foreign one, is an unknown piece by itself, and the text is cut
// before and behind it.
//
// Where the best way to a place is beyond +-kMaxSum, `sentencepiece` counts from there anew: this
// score is taken off all that were found so far. The limit leaves out the sums from which a node of
// the word might come to be beyond.
#include "lathe/text/model/unigram_encoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/metaspace.h"
#include "lathe/text/model/piece_loop.h"
#include "lathe/text/model/word_memory.h"

namespace lathe {
namespace {

bool is_mark(const uint8_t* p, const uint8_t* end) {
  return *p == 0xE2 && end - p >= 3 && p[1] == 0x96 && p[2] == 0x81;
}

// Real: the type of the sums.
template <class Real>
class UnigramPieces {
 public:
  explicit UnigramPieces(const UnigramModel& model)
      : model_(model),
        unknown_id_(model.unknown_id()),
        unknown_score_(static_cast<Real>(model.unknown_score())),
        remembers_unknown_(kThroughText && !model.options().byte_fallback),
        scores_(model.scores<Real>()),
        memory_(size_t{2} << kMemoryBits) {}

  void encode(const uint8_t* p, const uint8_t* q, const uint8_t* limit, EncodeMeter& meter,
              std::vector<int32_t>& out) {
    require(q - p < std::numeric_limits<int32_t>::max(), ErrorKind::kData, "unigram model",
            "a text of {} bytes cannot be encoded as one, expected less than 2 GiB; split it",
            q - p);
    out_ = &out;
    sum_ = 0;
    unknown_begin_ = nullptr;
    // What is remembered of a word is a cache miss away, so it is asked for a word ahead.
    Word next = word_at(p, q, limit);
    while (next.begin < q) {
      const Word word = next;
      next = word_at(word.end, q, limit);
      encode_word(word, limit, meter);
      meter.reach(word.end);
    }
    flush_unknown();
  }

 private:
  static constexpr bool kThroughText = sizeof(Real) == 4;
  static constexpr Real kMaxSum = kThroughText ? 100000 : std::numeric_limits<Real>::infinity();
  static constexpr int kMemoryBits = 16;
  static constexpr size_t kWordPieces = 10;
  static constexpr uint64_t kMarked = uint64_t{1} << 63;  // in a key: a mark stands before the word

  // A node of the search: the best way to the byte where it stands.
  struct Node {
    Real score;
    int32_t id;
    int32_t start;  // where its piece begins, -1: no way was found yet
  };
  // The same while a word is measured: sums from S = 0.
  struct Measure {
    double best, second;
    int32_t id, start;  // of the best one
  };
  struct Step {
    int32_t id, start, end;
  };
  struct Slot {
    WordKey key{0, 0};
    Real limit = 0;
    uint16_t count = 0;
    bool has_unknown = false;
    std::array<int32_t, kWordPieces> ids{};
  };

  // A stretch of text and, unless it is too long, where it is remembered.
  struct Word {
    const uint8_t *begin, *end;
    bool foreign = false;  // characters that no piece holds
    WordKey key{0, 0};
    Slot* set = nullptr;
  };

  bool is_foreign(CodePoint c) const { return c.value >= 0x80 && !model_.knows(c.value); }

  // The first border behind `p` where the text may be cut because of a mark or a foreign character.
  const uint8_t* word_end(const uint8_t* p, const uint8_t* end) const {
    bool left = is_mark(p, end);
    for (p += left ? kSpaceMark.size() : decode_utf8(p, end).size; p < end;) {
      if (!left && (p = skip_ascii(p, end)) == end) break;
      const bool right = is_mark(p, end);
      if ((left || right) && (*p & 0xC0) != 0x80 && model_.cuts_at_mark(left, right)) return p;
      const CodePoint c = decode_utf8(p, end);
      if (!right && is_foreign(c)) return p;
      left = right;
      p += c.size;
    }
    return end;
  }

  // The end of the foreign characters that begin at `p`.
  const uint8_t* foreign_end(const uint8_t* p, const uint8_t* end) const {
    while (p < end && *p >= 0x80) {
      const CodePoint c = decode_utf8(p, end);
      if (!is_foreign(c) || is_mark(p, end)) break;
      p += c.size;
    }
    return p;
  }

  // The word that begins at `p`; an empty one at `end`.
  Word word_at(const uint8_t* p, const uint8_t* end, const uint8_t* limit) {
    if (const uint8_t* q = foreign_end(p, end); q > p || p == end) return {p, q, true};
    const Word word = stretch(p, word_end(p, end), limit);
    if (word.set != nullptr) {
      __builtin_prefetch(word.set);
      __builtin_prefetch(word.set + 1);
    }
    return word;
  }

  Word stretch(const uint8_t* p, const uint8_t* q, const uint8_t* limit) {
    Word word{p, q};
    const size_t mark = is_mark(p, q) ? kSpaceMark.size() : 0;
    const size_t n = static_cast<size_t>(q - p) - mark;
    if (n > kWordBytes) return word;
    word.key = word_key(p + mark, n, limit);
    if (mark > 0) word.key.high |= kMarked;
    word.set = &memory_[2 * (word.key.hash() >> (64 - kMemoryBits))];
    return word;
  }

  void encode_word(const Word& word, const uint8_t* limit, EncodeMeter& meter) {
    if (word.foreign) return pass_foreign(word.begin, word.end);
    if (encode_remembered(word)) return;
    model_.cuts().for_each_stretch(word.begin, word.end, [&](const uint8_t* a, const uint8_t* b) {
      if (encode_remembered(stretch(a, b, limit))) return;
      search_whole(a, b);
      meter.reach(b);
    });
  }

  // Unknown pieces, whatever stands around them.
  void pass_foreign(const uint8_t* p, const uint8_t* q) {
    if (unknown_begin_ == nullptr) unknown_begin_ = p;
    unknown_end_ = q;
    for (; p < q; p += decode_utf8(p, q).size) {
      if (std::abs(sum_) > kMaxSum) sum_ = 0;
      sum_ += unknown_score_;
    }
  }

  // By the memory, or by a search whose result is kept there; false for words that are too long.
  bool encode_remembered(const Word& word) {
    if (std::abs(sum_) > kMaxSum) sum_ = 0;
    if (word.set == nullptr) return false;
    for (const Slot* slot : {word.set, word.set + 1}) {
      if (slot->key != word.key || !(std::abs(sum_) < slot->limit)) continue;
      recall(*slot, word.begin, word.end);
      return true;
    }
    search_and_remember(word);
    return true;
  }

  // If the measure decides, its path is that of the search.
  void search_and_remember(const Word& word) {
    const auto n = static_cast<size_t>(word.end - word.begin);
    measure(word.begin, word.end);
    take_path(measures_, n);
    const Real limit = limit_of(n);
    if (!(std::abs(sum_) < limit)) return search_whole(word.begin, word.end);
    for (const Step& step : path_) sum_ += step.id == kUnknown ? unknown_score_ : scores_[step.id];
    append_path(word.begin);
    remember(word, limit);
  }

  void search_whole(const uint8_t* p, const uint8_t* q) {
    search(p, q);
    const auto n = static_cast<size_t>(q - p);
    sum_ = nodes_[n].score;
    take_path(nodes_, n);
    append_path(p);
  }

  void recall(const Slot& slot, const uint8_t* p, const uint8_t* q) {
    for (size_t i = 0; i < slot.count; ++i) {
      const int32_t id = slot.ids[i];
      sum_ += scores_[id];
      if (slot.has_unknown && id == unknown_id_) {
        if (unknown_begin_ == nullptr) unknown_begin_ = p;
        unknown_end_ = q;
      } else {
        if (unknown_begin_ != nullptr) flush_unknown();
        out_->push_back(id);
      }
    }
  }

  static constexpr int32_t kUnknown = -2;  // beside ids

  // Calls f(end, id, score) for the pieces of [p, q) that begin at `start`; an unknown one is among
  // them where the character there is no piece. Returns the character's size.
  template <class F>
  size_t for_each_candidate(const uint8_t* p, const uint8_t* q, size_t start, F&& f) {
    const size_t size = decode_utf8(p + start, q).size;
    bool single = false;
    model_.for_each_piece(p + start, q, [&](const uint8_t* stop, int32_t id) {
      const auto end = static_cast<size_t>(stop - p);
      single |= end - start == size;
      f(end, id, scores_[id]);
    });
    if (!single) f(start + size, kUnknown, unknown_score_);
    return size;
  }

  // Fills nodes_ for the stretch [p, q).
  void search(const uint8_t* p, const uint8_t* q) {
    const auto n = static_cast<size_t>(q - p);
    nodes_.assign(n + 1, {0, -1, -1});
    nodes_[0].score = sum_;
    for (size_t start = 0; start < n;) {
      if (std::abs(nodes_[start].score) > kMaxSum) count_anew(start, n);
      const Real here = nodes_[start].score;
      start += for_each_candidate(p, q, start, [&](size_t end, int32_t id, Real score) {
        Node& node = nodes_[end];
        if (node.start < 0 || here + score > node.score)
          node = {here + score, id, static_cast<int32_t>(start)};
      });
    }
  }

  // Takes the score of nodes_[start] off all that have one, of those at most n bytes in.
  void count_anew(size_t start, size_t n) {
    const Real score = nodes_[start].score;
    n = std::min(n, start + model_.vocabulary().longest());
    for (size_t i = start; i <= n; ++i)
      if (nodes_[i].start >= 0 || i == 0) nodes_[i].score -= score;
  }

  // Fills measures_ for the word [p, q), and highest_.
  void measure(const uint8_t* p, const uint8_t* q) {
    constexpr double kNone = -std::numeric_limits<double>::infinity();
    const auto n = static_cast<size_t>(q - p);
    std::fill_n(measures_.begin(), n + 1, Measure{kNone, kNone, -1, -1});
    measures_[0].best = 0;
    highest_ = 0;
    for (size_t start = 0; start < n;) {
      const double here = measures_[start].best;
      start += for_each_candidate(p, q, start, [&](size_t end, int32_t id, double score) {
        Measure& m = measures_[end];
        const double sum = here + score;
        highest_ = std::max(highest_, std::abs(sum));
        if (m.start < 0 || sum > m.best) {
          m = {sum, m.best, id, static_cast<int32_t>(start)};
        } else {
          m.second = std::max(m.second, sum);
        }
      });
    }
  }

  // The best way to byte n, by nodes_ or measures_.
  template <class Nodes>
  void take_path(const Nodes& nodes, size_t n) {
    path_.clear();
    for (auto at = static_cast<int32_t>(n); at > 0; at = nodes[static_cast<size_t>(at)].start) {
      const auto& node = nodes[static_cast<size_t>(at)];
      path_.push_back({node.id, node.start, at});
    }
    std::reverse(path_.begin(), path_.end());
  }

  void append_path(const uint8_t* p) {
    for (const Step& step : path_) {
      if (is_unknown(step.id)) {
        if (unknown_begin_ == nullptr) unknown_begin_ = p + step.start;
        unknown_end_ = p + step.end;
      } else {
        if (unknown_begin_ != nullptr) flush_unknown();
        out_->push_back(step.id);
      }
    }
  }

  void flush_unknown() {
    if (unknown_begin_ == nullptr) return;
    const uint8_t* begin = unknown_begin_;
    unknown_begin_ = nullptr;
    model_.append_unknown(begin, unknown_end_, *out_);
  }

  // Keeps the path of a word in place of the older of two words.
  void remember(const Word& word, Real limit) {
    if (path_.size() > kWordPieces) return;
    Slot made{word.key, limit, static_cast<uint16_t>(path_.size()), false, {}};
    for (size_t i = 0; i < path_.size(); ++i) {
      const bool unknown = is_unknown(path_[i].id);
      made.has_unknown |= unknown;
      made.ids[i] = unknown ? unknown_id_ : path_[i].id;
    }
    if (made.has_unknown && !remembers_unknown_) return;
    Slot* const set = word.set;
    if (set->key != word.key) set[1] = set[0];
    set[0] = made;
  }

  // See the top of this file; of the word in measures_ and path_.
  Real limit_of(size_t n) const {
    constexpr double kUnit = std::numeric_limits<Real>::epsilon() / 2.0;
    double margin = std::numeric_limits<double>::infinity();
    for (const Step& step : path_) {
      const Measure& m = measures_[static_cast<size_t>(step.end)];
      margin = std::min(margin, m.best - m.second);
    }
    const double limit = margin / (2.02 * static_cast<double>(n + 1) * kUnit) - 2 * highest_;
    const double beyond = kMaxSum - 1.001 * highest_ - 1;  // 1: what rounding may add
    return static_cast<Real>(std::min(0.999 * limit, beyond));
  }

  // In a text, `tokenizers` takes the unknown piece's spelling for an unknown piece.
  bool is_unknown(int32_t id) const {
    return id == kUnknown || (!kThroughText && id == unknown_id_);
  }

  const UnigramModel& model_;
  const int32_t unknown_id_;
  const Real unknown_score_;
  const bool remembers_unknown_;  // where unknown pieces are one token whatever they are
  const Real* scores_;            // by id; of the unknown piece where it is remembered
  std::vector<Slot> memory_;      // sets of two, the newer one first

  std::vector<int32_t>* out_ = nullptr;
  Real sum_ = 0;
  // Unknown pieces side by side that have no token yet.
  const uint8_t *unknown_begin_ = nullptr, *unknown_end_ = nullptr;

  std::vector<Node> nodes_;
  std::vector<Step> path_;  // the pieces of the best way
  std::array<Measure, kWordBytes + kSpaceMark.size() + 1> measures_{};
  double highest_ = 0;  // H
};

}  // namespace

std::unique_ptr<TextEncoder> unigram_encoder(const UnigramModel& model,
                                             const PreTokenizer& pre_tokenizer) {
  if (model.options().arithmetic == UnigramArithmetic::kFloatThroughText)
    return piece_loop(pre_tokenizer, UnigramPieces<float>(model));
  return piece_loop(pre_tokenizer, UnigramPieces<double>(model));
}

}  // namespace lathe
