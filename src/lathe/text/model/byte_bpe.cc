// Four ways to the same result.
//
// Short pieces (nearly all) are merged pair by pair (short_merge.h), after the merges of two bytes
// that are certain at sight (byte_pairs.h).
//
// Long pieces are merged in windows of kShort bytes, which are joined. Tokens t1 ... tk are the
// encoding of their text if every two neighbours are the encoding of theirs (forward_bpe.h). So a
// window may end and the next begin before any token that both have there: every two neighbours of
// the joined tokens stand side by side in the one window or in the other. Where they do not agree,
// the next begins further back.
//
// Where windows do not agree at all, and where tokens are long, such as in 300,000 times the same
// letter, pieces are encoded from left to right (forward_bpe.h). Where that is not exact, or with
// an unknown token, the pairs are kept in a heap; an entry whose pair has changed since it was
// pushed is recognised by its rank and dropped.
//
// What a token's own bytes become when they stand alone is found out once for every token
// (prepare):
//
// - A word that becomes one token needs no merging at all.
// - A token can only ever come from the last merge that its own bytes see. For when it is made,
//   nothing has crossed its borders yet, so inside it the same merges were made, in the same order,
//   as if it stood alone. All other merges that would give it are never reached and are left out
//   of the table. Files made from tiktoken ranks list every way to cut a token, three or more times
//   what can be reached.
#include "lathe/text/model/byte_bpe.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/base/utf8.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "tokenizer";
constexpr size_t kShort = ShortMerge::kMost;
// Bytes at a window's end whose tokens are likely to be others once it is known what follows.
constexpr size_t kOverlap = 8;
// How far at most, in one go, the second of two windows that cannot be joined is taken back.
constexpr size_t kMostBack = 32;
constexpr size_t kLongToken = 3;  // bytes
constexpr int kLongWordBits = 17;
constexpr int32_t kChunk = 1 << 11;  // tokens looked at in one go
constexpr uint32_t kNone = 0xFFFFFFFF;

}  // namespace

ByteBpe::ByteBpe(Vocabulary tokens, std::vector<Merge> merges, const ByteBpeOptions& options)
    : TokenModel(std::move(tokens)), merges_(std::move(merges)), options_(options) {
  require(merges_.size() <= PairTable::kMaxRank || options_.shared_ranks, ErrorKind::kFormat,
          kWhere, "{} merges, expected at most {}", merges_.size(), PairTable::kMaxRank);
  for (uint32_t b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    byte_ids_[b] = vocabulary().find({&byte, 1}).value_or(-1);
  }
  std::vector<int32_t> ranks(merges_.size());
  for (size_t place = 0; place < ranks.size(); ++place)
    ranks[place] = options_.shared_ranks ? merges_[place].result : static_cast<int32_t>(place);
  merger_ = PairMerger(merges_, ranks);
  prepare();
}

void ByteBpe::prepare() {
  const auto certain = [this] {
    return BytePairs(vocabulary(), byte_ids_, merger_.pairs(),
                     [this](int32_t r) { return merger_.result_of(r); });
  };
  if (!options_.unknown) byte_pairs_ = certain();
  // The last merge of every token whose bytes become that token; left = -1 where there is none.
  std::vector<Merge> last(static_cast<size_t>(vocabulary().size()), Merge{-1, -1, -1});
  const auto is_made = [this](Scratch& scratch, std::vector<int32_t>& tokens, int32_t id) {
    const std::string_view bytes = vocabulary().bytes(id);
    if (bytes.empty()) return false;
    for (char b : bytes)
      if (byte_ids_[static_cast<uint8_t>(b)] < 0) return false;
    tokens.clear();
    merge_pairs(bytes, scratch, tokens);
    return tokens.size() == 1 && tokens[0] == id;
  };
  std::vector<uint8_t> made(last.size(), 0);
  // Tokens that were made later are longer: halves would not be equal work.
  const int64_t chunks = (vocabulary().size() + kChunk - 1) / kChunk;
  parallel_dynamic(chunks, [&](int64_t chunk, int) {
    Scratch scratch;
    std::vector<int32_t> tokens;
    const int32_t first = static_cast<int32_t>(chunk) * kChunk;
    for (int32_t id = first; id < std::min(first + kChunk, vocabulary().size()); ++id) {
      if (!vocabulary().has(id) || vocabulary().is_literal(id)) continue;
      if (!is_made(scratch, tokens, id)) continue;
      const auto i = static_cast<size_t>(id);
      made[i] = 1;
      if (vocabulary().bytes(id).size() > 1) last[i] = scratch.last;
    }
  });
  // An unknown token stands for bytes that are not its own, which the argument above excludes.
  if (!options_.unknown) {
    PairTable reachable(static_cast<size_t>(vocabulary().count()));
    for (const Merge& m : last)
      if (m.left >= 0) reachable.set(m.left, m.right, merger_.pairs().rank(m.left, m.right));
    merger_.keep(std::move(reachable));
    byte_pairs_ = certain();
    cuts_ = CharCuts(static_cast<size_t>(vocabulary().count()));
    for (int32_t id = 0; id < vocabulary().size(); ++id)
      if (made[static_cast<size_t>(id)]) cuts_.add(vocabulary().bytes(id));
  }
  words_ = WordTable(static_cast<size_t>(vocabulary().count()));
  long_words_.assign((size_t{1} << kLongWordBits) / 64, 0);
  for (int32_t id = 0; id < vocabulary().size(); ++id) {
    if (!vocabulary().has(id) || vocabulary().is_literal(id)) continue;
    const std::string_view bytes = vocabulary().bytes(id);
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

std::optional<int32_t> ByteBpe::whole_piece(std::string_view piece) const {
  if (!options_.ignore_merges || piece.size() > vocabulary().longest()) return std::nullopt;
  const uint64_t bit = hash_bytes(piece) >> (64 - kLongWordBits);
  if (piece.size() > kWordBytes && !(long_words_[bit >> 6] >> (bit & 63) & 1)) return std::nullopt;
  return vocabulary().find(piece);
}

void ByteBpe::encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out) const {
  if (const auto id = whole_piece(piece)) {
    out.push_back(*id);
  } else {
    merge(piece, scratch, out);
  }
}

const ForwardBpe* ByteBpe::forward() const {
  std::call_once(forward_->once, [this] {
    std::vector<int32_t> tokens;
    std::ranges::copy_if(byte_ids_, std::back_inserter(tokens), [](int32_t id) { return id >= 0; });
    std::vector<TokenOrigin> origins(static_cast<size_t>(vocabulary().size()));
    merger_.pairs().for_each([&](int32_t left, int32_t right, int32_t rank) {
      const int32_t token = merger_.result_of(rank);
      tokens.push_back(token);
      origins[static_cast<size_t>(token)] = {left, right, rank};
    });
    forward_->bpe = ForwardBpe::make(vocabulary(), tokens, std::move(origins));
  });
  return forward_->bpe.get();
}

void ByteBpe::merge(std::string_view part, Scratch& scratch, std::vector<int32_t>& out) const {
  require(part.size() < kNone, ErrorKind::kData, kWhere,
          "a single word of {} bytes, expected less than 4 GiB; split the text", part.size());
  if (part.size() <= kShort || options_.unknown) return merge_pairs(part, scratch, out);
  if (merge_windows(part, scratch, out) || merge_forward(part, scratch, out)) return;
  merge_pairs(part, scratch, out);
}

bool ByteBpe::merge_forward(std::string_view part, Scratch& scratch,
                            std::vector<int32_t>& out) const {
  const ForwardBpe* bpe = forward();
  if (bpe == nullptr) return false;
  for (char c : part) require_token(static_cast<uint8_t>(c));
  bpe->encode(part, merger_.pairs(), scratch.forward, out);
  return true;
}

// Tokens may be so long that going from left to right, which costs by the token, is faster than
// merging, which costs by the byte.
bool ByteBpe::merge_windows(std::string_view part, Scratch& s, std::vector<int32_t>& out) const {
  const size_t first = out.size();
  const auto length = [this](int32_t id) { return vocabulary().bytes(id).size(); };
  size_t farthest = 0;     // where the last window that was joined began
  size_t back = kOverlap;  // bytes to go back where a window cannot be joined
  int32_t joint = -1;
  for (size_t begin = 0;;) {
    const std::string_view window = part.substr(begin, kShort);
    ++s.windows;
    s.window.clear();
    merge_pairs(window, s, s.window);
    if (begin > 0 && s.window[0] != joint) {
      if (back > kMostBack) break;
      for (const size_t to = begin - std::min(back, begin); begin > to; out.pop_back()) {
        joint = out.back();
        begin -= length(joint);
      }
      back *= 2;
      continue;
    }
    if (begin + window.size() == part.size()) {
      out.insert(out.end(), s.window.begin(), s.window.end());
      return true;
    }
    if (begin == 0 && s.window.size() * kLongToken < window.size() && forward() != nullptr) break;
    size_t kept = 0, end = begin;  // the tokens that stand, and where the one after them begins
    for (;; ++kept) {
      const size_t next = end + length(s.window[kept]);
      if (next > begin + kShort - kOverlap) break;
      end = next;
    }
    if (end <= farthest) break;
    out.insert(out.end(), s.window.begin(), s.window.begin() + static_cast<ptrdiff_t>(kept));
    joint = s.window[kept];
    begin = farthest = end;
    back = kOverlap;
  }
  out.resize(first);
  return false;
}

void ByteBpe::require_token(uint8_t byte) const {
  require(byte_ids_[byte] >= 0, ErrorKind::kData, kWhere,
          "byte 0x{:02X} has no token in this vocabulary and there is no unknown token; remove "
          "the byte from the text or use a tokenizer with all 256 bytes",
          byte);
}

// Writes the tokens of the single bytes to scratch.ids; returns their number.
size_t ByteBpe::start(std::string_view piece, Scratch& scratch) const {
  scratch.make_room(piece.size());
  size_t n = 0;
  bool after_unknown = false;
  for (char c : piece) {
    int32_t id = byte_ids_[static_cast<uint8_t>(c)];
    const bool unknown = id < 0;
    if (unknown) [[unlikely]] {
      if (!options_.unknown) require_token(static_cast<uint8_t>(c));
      if (after_unknown && options_.fuse_unknown) continue;
      id = *options_.unknown;
    }
    after_unknown = unknown;
    scratch.ranks[n] = PairMerger::kUnknownRank;
    scratch.ids[n++] = id;
  }
  return n;
}

// The same after the merges that are certain, for a piece without unknown tokens.
size_t ByteBpe::start_certain(std::string_view piece, Scratch& scratch) const {
  scratch.make_room(piece.size());
  for (char c : piece) require_token(static_cast<uint8_t>(c));
  const size_t n = byte_pairs_.merge(piece, byte_ids_, scratch.ids.data(), scratch.ranks.data());
  const auto byte_id = [&](size_t i) { return byte_ids_[static_cast<uint8_t>(piece[i])]; };
  if (piece.size() == 2 && n == 1) scratch.last = {byte_id(0), byte_id(1), scratch.ids[0]};
  return n;
}

void ByteBpe::merge_pairs(std::string_view piece, Scratch& scratch,
                          std::vector<int32_t>& out) const {
  const bool certain = piece.size() <= kShort && !options_.unknown;
  const size_t n = certain ? start_certain(piece, scratch) : start(piece, scratch);
  merger_.merge(n, scratch, out);
}

std::optional<TokenModel::Weight> ByteBpe::weight_of(int32_t id) const {
  const auto place = first_merge(merges_, id);
  if (!place) return std::nullopt;
  return Weight{"merge", static_cast<double>(*place)};
}

std::vector<int32_t> ByteBpe::encode_with_dropout(std::string_view piece, double dropout,
                                                  const Rng& rng) const {
  Scratch scratch;
  std::vector<int32_t> ids;
  merger_.merge_with_dropout(start(piece, scratch), dropout, rng, scratch, ids);
  return ids;
}

}  // namespace lathe
