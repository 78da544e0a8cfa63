// Two ways to the same result.
//
// Short pieces (nearly all) keep their tokens and the rank of every adjacent pair in two flat
// arrays: find the smallest rank, merge, close the gap, look up the two new pairs. That is
// quadratic in the length with a tiny constant. Pieces above kShort, such as 300,000 times the same
// letter, keep the tokens in a linked list and the pairs in a heap ordered by (rank, position); an
// entry whose pair has changed since it was pushed is recognised by its rank and dropped.
//
// A word that is a token and that merging turns into that token needs no merging at all. Which
// tokens those are is found out once, by merging each of them (index_whole_words).
#include "lathe/text/bpe_model.h"

#include <algorithm>
#include <functional>

#include "lathe/base/error.h"
#include "lathe/text/utf8.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "tokenizer";
constexpr size_t kShort = 96;
constexpr uint32_t kNone = 0xFFFFFFFF;

}  // namespace

BpeModel::BpeModel(Vocabulary vocabulary, std::vector<Merge> merges, const BpeOptions& options)
    : vocabulary_(std::move(vocabulary)),
      merges_(std::move(merges)),
      options_(options),
      pairs_(merges_.size()) {
  for (uint32_t b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    byte_ids_[b] = vocabulary_.find({&byte, 1}).value_or(-1);
  }
  for (size_t place = 0; place < merges_.size(); ++place) {
    const Merge& m = merges_[place];
    const size_t rank = options_.shared_ranks ? static_cast<size_t>(m.result) : place;
    pairs_.set(m.left, m.right, static_cast<uint32_t>(rank), m.result);
  }
  index_whole_words();
}

void BpeModel::index_whole_words() {
  words_ = WordTable(static_cast<size_t>(vocabulary_.count()));
  Scratch scratch;
  std::vector<int32_t> tokens;
  for (int32_t id = 0; id < vocabulary_.size(); ++id) {
    if (!vocabulary_.has(id) || vocabulary_.is_literal(id)) continue;
    const std::string_view bytes = vocabulary_.bytes(id);
    if (bytes.empty() || bytes.size() > kWordBytes) continue;
    if (!options_.ignore_merges) {
      const bool spelled = std::all_of(bytes.begin(), bytes.end(), [this](char b) {
        return byte_ids_[static_cast<uint8_t>(b)] >= 0;
      });
      if (!spelled) continue;
      tokens.clear();
      merge_all(bytes, scratch, tokens);
      if (tokens.size() != 1 || tokens[0] != id) continue;
    }
    const uint8_t* p = as_bytes(bytes);
    words_.set(word_key(p, bytes.size(), p + bytes.size()), id);
  }
}

void BpeModel::encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const {
  if (options_.ignore_merges && piece.size() <= vocabulary_.longest()) {
    if (const auto id = vocabulary_.find(piece)) {
      out.push_back(*id);
      return;
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
    const size_t left = merge_short(*this, scratch.ids.data(), n);
    out.insert(out.end(), scratch.ids.data(), scratch.ids.data() + left);
  } else {
    merge_long(n, scratch, out);
  }
}

// Merges ids[0, n) in place, n <= kShort; returns how many tokens are left.
size_t BpeModel::merge_short(const BpeModel& model, int32_t* ids, size_t n) {
  if (n < 2) return n;
  const PairTable& pairs = model.pairs_;
  uint32_t ranks[kShort];  // ranks[i] belongs to the pair (ids[i], ids[i + 1])
  for (size_t i = 0; i + 1 < n; ++i) ranks[i] = pairs.rank(ids[i], ids[i + 1]);
  while (n > 1) {
    uint32_t best = kNone;
    size_t at = 0;
    for (size_t i = 0; i + 1 < n; ++i) {
      at = ranks[i] < best ? i : at;
      best = ranks[i] < best ? ranks[i] : best;
    }
    if (best == kNone) break;
    ids[at] = model.result_of(best);
    std::copy(ids + at + 2, ids + n, ids + at + 1);
    std::copy(ranks + at + 1, ranks + n - 1, ranks + at);
    --n;
    if (at > 0) ranks[at - 1] = pairs.rank(ids[at - 1], ids[at]);
    if (at + 1 < n) ranks[at] = pairs.rank(ids[at], ids[at + 1]);
  }
  return n;
}

void BpeModel::merge_long(size_t n, Scratch& s, std::vector<int32_t>& out) const {
  s.ranks.resize(n);
  s.previous.resize(n);
  s.next.resize(n);
  s.heap.clear();
  const auto key = [](uint32_t rank, size_t at) { return uint64_t{rank} << 32 | at; };
  for (size_t i = 0; i < n; ++i) {
    s.previous[i] = i == 0 ? kNone : static_cast<uint32_t>(i - 1);
    s.next[i] = i + 1 == n ? kNone : static_cast<uint32_t>(i + 1);
    s.ranks[i] = i + 1 == n ? kNone : pairs_.rank(s.ids[i], s.ids[i + 1]);
    if (s.ranks[i] != kNone) s.heap.push_back(key(s.ranks[i], i));
  }
  std::make_heap(s.heap.begin(), s.heap.end(), std::greater<>());
  const auto refresh = [&](uint32_t at) {
    const uint32_t right = s.next[at];
    s.ranks[at] = right == kNone ? kNone : pairs_.rank(s.ids[at], s.ids[right]);
    if (s.ranks[at] == kNone) return;
    s.heap.push_back(key(s.ranks[at], at));
    std::push_heap(s.heap.begin(), s.heap.end(), std::greater<>());
  };
  while (!s.heap.empty()) {
    std::pop_heap(s.heap.begin(), s.heap.end(), std::greater<>());
    const auto rank = static_cast<uint32_t>(s.heap.back() >> 32);
    const auto at = static_cast<uint32_t>(s.heap.back());
    s.heap.pop_back();
    if (s.ranks[at] != rank) continue;
    const uint32_t gone = s.next[at], after = s.next[gone];
    s.ids[at] = result_of(rank);
    s.ranks[gone] = kNone;
    s.next[at] = after;
    if (after != kNone) s.previous[after] = at;
    refresh(at);
    if (s.previous[at] != kNone) refresh(s.previous[at]);
  }
  for (uint32_t i = 0; i != kNone; i = s.next[i]) out.push_back(s.ids[i]);
}

}  // namespace lathe
