// Two ways to the same result.
//
// Short pieces (nearly all) keep their tokens in a flat linked list and, for every adjacent pair,
// its rank and place in one integer: the smallest of them is the pair to merge next. Looking at all
// of them each time is quadratic with a tiny constant. Pieces of more than kShort bytes, such as
// 300,000 times the same letter, keep the pairs in a heap; an entry whose pair has changed since it
// was pushed is recognised by its rank and dropped.
//
// What a token's own bytes become when they stand alone is found out once for every token
// (prepare):
//
// - A word that becomes one token needs no merging at all.
// - A token can only ever come from the last merge that its own bytes see. For when it is made,
// nothing
//   has crossed its borders yet, so inside it the same merges were made, in the same order, as if
//   it stood alone. All other merges that would give it are never reached and are left out of the
//   table. Files made from tiktoken ranks list every way to cut a token, three or more times what
//   can be reached.
#include "lathe/text/bpe_model.h"

#include <algorithm>
#include <functional>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/text/utf8.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "tokenizer";
constexpr int kPlaceBits = 7;
constexpr size_t kShort = size_t{1} << kPlaceBits;
constexpr int kLongWordBits = 17;
constexpr uint32_t kNone = 0xFFFFFFFF;

}  // namespace

BpeModel::BpeModel(Vocabulary vocabulary, std::vector<Merge> merges, const BpeOptions& options)
    : vocabulary_(std::move(vocabulary)),
      merges_(std::move(merges)),
      options_(options),
      pairs_(merges_.size()) {
  require(merges_.size() <= PairTable::kMaxRank || options_.shared_ranks, ErrorKind::kFormat,
          kWhere, "{} merges, expected at most {}", merges_.size(), PairTable::kMaxRank);
  for (uint32_t b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    byte_ids_[b] = vocabulary_.find({&byte, 1}).value_or(-1);
  }
  for (size_t place = 0; place < merges_.size(); ++place)
    pairs_.set(merges_[place].left, merges_[place].right, rank_of(place));
  prepare();
}

void BpeModel::prepare() {
  // The last merge of every token whose bytes become that token; left = -1 where there is none.
  std::vector<Merge> last(static_cast<size_t>(vocabulary_.size()), Merge{-1, -1, -1});
  const auto is_made = [this](Scratch& scratch, std::vector<int32_t>& tokens, int32_t id) {
    const std::string_view bytes = vocabulary_.bytes(id);
    if (bytes.empty()) return false;
    for (char b : bytes)
      if (byte_ids_[static_cast<uint8_t>(b)] < 0) return false;
    tokens.clear();
    merge_all(bytes, scratch, tokens);
    return tokens.size() == 1 && tokens[0] == id;
  };
  std::vector<uint8_t> made(last.size(), 0);
  parallel_ranges(vocabulary_.size(), 1 << 12, [&](Range range, int) {
    Scratch scratch;
    std::vector<int32_t> tokens;
    for (int64_t i = range.begin; i < range.end; ++i) {
      const auto id = static_cast<int32_t>(i);
      if (!vocabulary_.has(id) || vocabulary_.is_literal(id)) continue;
      if (!is_made(scratch, tokens, id)) continue;
      made[static_cast<size_t>(i)] = 1;
      if (vocabulary_.bytes(id).size() > 1) last[static_cast<size_t>(i)] = scratch.last;
    }
  });
  // An unknown token stands for bytes that are not its own, which the argument above excludes.
  if (!options_.unknown) {
    PairTable reachable(static_cast<size_t>(vocabulary_.count()));
    for (const Merge& m : last)
      if (m.left >= 0) reachable.set(m.left, m.right, pairs_.rank(m.left, m.right));
    pairs_ = std::move(reachable);
  }
  words_ = WordTable(static_cast<size_t>(vocabulary_.count()));
  long_words_.assign((size_t{1} << kLongWordBits) / 64, 0);
  for (int32_t id = 0; id < vocabulary_.size(); ++id) {
    if (!vocabulary_.has(id) || vocabulary_.is_literal(id)) continue;
    const std::string_view bytes = vocabulary_.bytes(id);
    if (bytes.size() > kWordBytes) {
      const uint64_t bit = hash_bytes(bytes) >> (64 - kLongWordBits);
      long_words_[bit >> 6] |= uint64_t{1} << (bit & 63);
      continue;
    }
    if (bytes.empty()) continue;
    if (!options_.ignore_merges && !made[static_cast<size_t>(id)]) continue;
    const uint8_t* p = as_bytes(bytes);
    words_.set(word_key(p, bytes.size(), p + bytes.size()), id);
  }
}

void BpeModel::encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const {
  if (options_.ignore_merges && piece.size() <= vocabulary_.longest()) {
    const uint64_t bit = hash_bytes(piece) >> (64 - kLongWordBits);
    if (piece.size() <= kWordBytes || long_words_[bit >> 6] >> (bit & 63) & 1) {
      if (const auto id = vocabulary_.find(piece)) {
        out.push_back(*id);
        return;
      }
    }
  }
  merge_all(piece, scratch, out);
}

// Writes the tokens of the single bytes to scratch.ids; returns their number.
size_t BpeModel::start(std::string_view piece, Scratch& scratch) const {
  if (scratch.ids.size() < piece.size()) scratch.ids.resize(piece.size());
  size_t n = 0;
  bool after_unknown = false;
  for (char c : piece) {
    int32_t id = byte_ids_[static_cast<uint8_t>(c)];
    const bool unknown = id < 0;
    if (unknown) [[unlikely]] {
      require(options_.unknown.has_value(), ErrorKind::kData, kWhere,
              "byte 0x{:02X} has no token in this vocabulary and there is no unknown token; remove "
              "the byte from the text or use a tokenizer with all 256 bytes",
              static_cast<uint8_t>(c));
      if (after_unknown && options_.fuse_unknown) continue;
      id = *options_.unknown;
    }
    after_unknown = unknown;
    scratch.ids[n++] = id;
  }
  return n;
}

void BpeModel::merge_all(std::string_view piece, Scratch& scratch,
                         std::vector<int32_t>& out) const {
  require(piece.size() < kNone, ErrorKind::kData, kWhere,
          "a single word of {} bytes, expected less than 4 GiB; split the text", piece.size());
  const size_t n = start(piece, scratch);
  if (n <= kShort) {
    merge_short(n, scratch, out);
  } else {
    merge_long(n, scratch, out);
  }
}

void BpeModel::merge_short(size_t n, Scratch& s, std::vector<int32_t>& out) const {
  static_assert(PairTable::kBits + kPlaceBits < 31, "rank and place share 31 bits");
  constexpr int32_t kDead = INT32_MAX;
  int32_t* ids = s.ids.data();
  int32_t
      keys[kShort];  // rank and place of the pair that begins there; kDead: no merge, or no token
  uint8_t next[kShort + 1], previous[kShort + 1];
  const auto key = [&](size_t left, size_t right) {
    const int32_t rank = pairs_.rank(ids[left], ids[right]);
    return rank == PairTable::kNoRank ? kDead : rank << kPlaceBits | static_cast<int32_t>(left);
  };
  for (size_t i = 0; i < n; ++i) {
    keys[i] = i + 1 < n ? key(i, i + 1) : kDead;
    next[i] = static_cast<uint8_t>(i + 1);
    previous[i + 1] = static_cast<uint8_t>(i);
  }
  for (;;) {
    int32_t best = kDead;
    for (size_t i = 0; i < n; ++i) best = std::min(best, keys[i]);
    if (best == kDead) break;
    const auto at = static_cast<size_t>(best) & (kShort - 1);
    const size_t gone = next[at], after = next[gone];
    const int32_t result = result_of(best >> kPlaceBits);
    s.last = {ids[at], ids[gone], result};
    ids[at] = result;
    keys[gone] = kDead;
    next[at] = static_cast<uint8_t>(after);
    previous[after] = static_cast<uint8_t>(at);
    keys[at] = after < n ? key(at, after) : kDead;
    if (at > 0) keys[previous[at]] = key(previous[at], at);
  }
  for (size_t i = 0; i < n; i = next[i]) out.push_back(ids[i]);
}

void BpeModel::merge_long(size_t n, Scratch& s, std::vector<int32_t>& out) const {
  s.ranks.resize(n);
  s.previous.resize(n);
  s.next.resize(n);
  s.heap.clear();
  const auto key = [](int32_t rank, size_t at) {
    return uint64_t{static_cast<uint32_t>(rank)} << 32 | at;
  };
  for (size_t i = 0; i < n; ++i) {
    s.previous[i] = i == 0 ? kNone : static_cast<uint32_t>(i - 1);
    s.next[i] = i + 1 == n ? kNone : static_cast<uint32_t>(i + 1);
    s.ranks[i] = i + 1 == n ? PairTable::kNoRank : pairs_.rank(s.ids[i], s.ids[i + 1]);
    if (s.ranks[i] != PairTable::kNoRank) s.heap.push_back(key(s.ranks[i], i));
  }
  std::make_heap(s.heap.begin(), s.heap.end(), std::greater<>());
  const auto refresh = [&](uint32_t at) {
    const uint32_t right = s.next[at];
    s.ranks[at] = right == kNone ? PairTable::kNoRank : pairs_.rank(s.ids[at], s.ids[right]);
    if (s.ranks[at] == PairTable::kNoRank) return;
    s.heap.push_back(key(s.ranks[at], at));
    std::push_heap(s.heap.begin(), s.heap.end(), std::greater<>());
  };
  while (!s.heap.empty()) {
    std::pop_heap(s.heap.begin(), s.heap.end(), std::greater<>());
    const auto rank = static_cast<int32_t>(s.heap.back() >> 32);
    const auto at = static_cast<uint32_t>(s.heap.back());
    s.heap.pop_back();
    if (s.ranks[at] != rank) continue;
    const uint32_t gone = s.next[at], after = s.next[gone];
    s.last = {s.ids[at], s.ids[gone], result_of(rank)};
    s.ids[at] = s.last.result;
    s.ranks[gone] = PairTable::kNoRank;
    s.next[at] = after;
    if (after != kNone) s.previous[after] = at;
    refresh(at);
    if (s.previous[at] != kNone) refresh(s.previous[at]);
  }
  for (uint32_t i = 0; i != kNone; i = s.next[i]) out.push_back(s.ids[i]);
}

}  // namespace lathe
