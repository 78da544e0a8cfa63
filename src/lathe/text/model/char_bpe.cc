#include "lathe/text/model/char_bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <tuple>
#include <utility>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/byte_tokens.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "tokenizer";
constexpr uint32_t kInside = 1, kLast = 2;
constexpr size_t kLongestPiece = 4096;  // bytes

// The character that `text` consists of, or kInvalidByte.
char32_t only_character(std::string_view text) {
  if (text.empty()) return kInvalidByte;
  const CodePoint c = decode_utf8(as_bytes(text), as_bytes(text) + text.size());
  return c.size == text.size() ? c.value : kInvalidByte;
}

// `text` without the affixes of a place in the piece, or nothing.
std::optional<std::string_view> without_affixes(std::string_view text, uint32_t place,
                                                const CharBpeOptions& options) {
  const std::string_view prefix = place & kInside ? options.continuing_prefix : std::string_view();
  const std::string_view suffix = place & kLast ? options.word_end : std::string_view();
  if (text.size() < prefix.size() + suffix.size()) return std::nullopt;
  if (!text.starts_with(prefix) || !text.ends_with(suffix)) return std::nullopt;
  return text.substr(prefix.size(), text.size() - prefix.size() - suffix.size());
}

// How often a piece repeats its one character; 0 where it has several.
size_t run_length(std::string_view text) {
  if (text.empty()) return 0;
  const size_t n = decode_utf8(as_bytes(text), as_bytes(text) + text.size()).size;
  const std::string_view first = text.substr(0, n);
  for (size_t at = 0; at < text.size(); at += n)
    if (text.substr(at, n) != first) return 0;
  return text.size() / n;
}

// Whether pieces with equal scores are made alike whether the leftmost comes first or those of 2,
// 4, 8, … characters: where they are the runs of one character, all lengths from 2 to a power of
// two. Both ways a run of n becomes as many of the longest as there are, and one of the rest.
bool are_all_runs(const Vocabulary& vocabulary, std::span<const int32_t> pieces) {
  if (pieces.size() == 1) return true;
  const std::string_view longest = vocabulary.bytes(*std::ranges::max_element(
      pieces, {}, [&](int32_t id) { return run_length(vocabulary.bytes(id)); }));
  const size_t most = run_length(longest);
  return std::has_single_bit(most) && pieces.size() == most - 1 &&
         std::ranges::all_of(pieces, [&](int32_t id) {
           const std::string_view text = vocabulary.bytes(id);
           return run_length(text) > 1 && longest.starts_with(text);
         });
}

void require_ranks(size_t merges, std::string_view origin) {
  require(merges <= PairTable::kMaxRank, ErrorKind::kFormat, kWhere,
          "{}: {} merges, expected at most {}", origin, merges, PairTable::kMaxRank);
}

}  // namespace

CharBpe::CharBpe(Vocabulary tokens, CharBpeOptions options)
    : TokenModel(std::move(tokens)), options_(std::move(options)) {
  byte_ids_ = options_.byte_fallback ? byte_token_ids(vocabulary()) : no_byte_tokens();
}

CharBpe::CharBpe(Vocabulary tokens, std::vector<Merge> merges, CharBpeOptions options)
    : CharBpe(std::move(tokens), std::move(options)) {
  merges_ = std::move(merges);
  require_ranks(merges_.size(), kWhere);
  add_characters({});
  std::vector<int32_t> ranks(merges_.size());
  std::iota(ranks.begin(), ranks.end(), 0);
  merger_ = PairMerger(merges_, ranks);
}

CharBpe CharBpe::by_score(Vocabulary tokens, std::span<const float> scores,
                          std::span<const PieceRole> roles, CharBpeOptions options,
                          std::string_view origin) {
  CharBpe model(std::move(tokens), std::move(options));
  model.add_characters(roles);
  model.add_hidden_characters(roles);
  std::vector<int32_t> order;
  const std::vector<int32_t> ranks = model.add_scored_merges(scores, roles, order, origin);
  require_ranks(model.merges_.size(), origin);
  model.merger_ = PairMerger(model.merges_, ranks, std::move(order));
  return model;
}

// Tokens of one character, and the borders that no token reaches over.
void CharBpe::add_characters(std::span<const PieceRole> roles) {
  cuts_ = CharCuts(static_cast<size_t>(vocabulary().count()));
  const uint32_t places = may_cut() ? 1 : 4;
  for (int32_t id = 0; id < vocabulary().size(); ++id) {
    if (!vocabulary().has(id)) continue;
    if (!roles.empty() && roles[static_cast<size_t>(id)] == PieceRole::kNone) continue;
    const std::string_view text = vocabulary().bytes(id);
    cuts_.add(text);
    for (uint32_t place = 0; place < places; ++place) {
      const auto bare = without_affixes(text, place, options_);
      const char32_t c = bare ? only_character(*bare) : kInvalidByte;
      if (c != kInvalidByte) characters_[place].set(c, id);
    }
  }
}

void CharBpe::add_hidden_characters(std::span<const PieceRole> roles) {
  for (int32_t id = 0; id < vocabulary().size(); ++id) {
    if (!vocabulary().has(id) || roles[static_cast<size_t>(id)] == PieceRole::kNone) continue;
    const std::string_view text = vocabulary().bytes(id);
    const uint8_t *p = as_bytes(text), *end = p + text.size();
    while (p < end) {
      const CodePoint c = decode_utf8(p, end);
      p += c.size;
      if (c.value == kInvalidByte || characters_[0].find(c.value) >= 0) continue;
      characters_[0].set(c.value, vocabulary().size() + static_cast<int32_t>(hidden_.size()));
      hidden_.push_back(c.value);
    }
  }
}

// Of a half of a piece: a piece itself, or one of the hidden characters; else -1.
int32_t CharBpe::part_id(std::string_view part, std::span<const PieceRole> roles) const {
  if (const auto id = vocabulary().find(part))
    return roles[static_cast<size_t>(*id)] == PieceRole::kNone ? -1 : *id;
  const char32_t c = only_character(part);
  return c == kInvalidByte ? -1 : characters_[0].find(c);
}

// Lists every way to make a piece of two. Returns the rank of each, which is its piece's place in
// the order of scores; `order` stays empty unless different pieces have the same score.
std::vector<int32_t> CharBpe::add_scored_merges(std::span<const float> scores,
                                                std::span<const PieceRole> roles,
                                                std::vector<int32_t>& order,
                                                std::string_view origin) {
  const auto score = [&](int32_t id) { return scores[static_cast<size_t>(id)]; };
  std::vector<int32_t> by_score;
  for (int32_t id = 0; id < vocabulary().size(); ++id)
    if (vocabulary().has(id) && roles[static_cast<size_t>(id)] != PieceRole::kNone)
      by_score.push_back(id);
  const auto place = [&](int32_t id) {
    const size_t run = run_length(vocabulary().bytes(id));
    return std::tuple(-score(id), !std::has_single_bit(run), run);
  };
  std::ranges::stable_sort(by_score, {}, place);

  std::vector<int32_t> ranks, scored;  // scored: one entry a rank
  bool ties = false;
  for (const int32_t id : by_score) {
    const std::string_view text = vocabulary().bytes(id);
    // Every way to cut it is looked at, which is quadratic.
    require(text.size() <= kLongestPiece, ErrorKind::kFormat, kWhere,
            "{}: piece {} has {} bytes, expected at most {}", origin, id, text.size(),
            kLongestPiece);
    const auto rank = static_cast<int32_t>(scored.size());
    const size_t before = merges_.size();
    for (size_t cut = 1; cut < text.size(); ++cut) {
      if ((static_cast<uint8_t>(text[cut]) & 0xC0) == 0x80) continue;
      const int32_t left = part_id(text.substr(0, cut), roles);
      const int32_t right = left < 0 ? -1 : part_id(text.substr(cut), roles);
      if (right < 0) continue;
      merges_.push_back({left, right, id});
      ranks.push_back(rank);
    }
    if (merges_.size() == before) continue;
    ties = ties || (rank > 0 && score(scored.back()) == score(id));
    scored.push_back(id);
    if (roles[static_cast<size_t>(id)] != PieceRole::kUnused) continue;
    unused_.resize(static_cast<size_t>(vocabulary().size()), {-1, -1});
    unused_[static_cast<size_t>(id)] = {merges_[before].left, merges_[before].right};
  }
  for (size_t rank = 0; ties && rank < scored.size(); ++rank) {
    const bool same = rank > 0 && score(scored[rank]) == score(scored[rank - 1]);
    order.push_back(same ? order.back() : static_cast<int32_t>(rank));
  }
  const std::span<const int32_t> all = scored;
  for (size_t begin = 0, end = 0; begin < all.size(); begin = end) {
    while (end < all.size() && score(all[end]) == score(all[begin])) ++end;
    ties_ = ties_ || !are_all_runs(vocabulary(), all.subspan(begin, end - begin));
  }
  if (!ties_) order.clear();
  return ranks;
}

// Writes the ids of the characters to scratch.ids; returns their number.
size_t CharBpe::start(std::string_view piece, PairMerger::Scratch& s) const {
  require(piece.size() < UINT32_MAX, ErrorKind::kData, kWhere,
          "a single word of {} bytes, expected less than 4 GiB; split the text", piece.size());
  s.make_room(piece.size());
  const uint8_t *begin = as_bytes(piece), *p = begin, *end = p + piece.size();
  const bool affixes = !may_cut();
  size_t n = 0;
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    const uint32_t place =
        affixes ? (p > begin ? kInside : 0) | (p + c.size == end ? kLast : 0) : 0;
    const int32_t id = characters_[place].find(c.value);
    if (id >= 0) {
      s.ranks[n] = PairMerger::kUnknownRank;
      s.ids[n++] = id;
    } else {
      n = start_without_token(piece.substr(static_cast<size_t>(p - begin), c.size), n, s);
    }
    p += c.size;
  }
  return n;
}

size_t CharBpe::start_without_token(std::string_view character, size_t n,
                                    PairMerger::Scratch& s) const {
  const auto push = [&](int32_t id) {
    s.ranks[n] = PairMerger::kUnknownRank;
    s.ids[n++] = id;
  };
  const auto byte_id = [&](char b) { return byte_ids_[static_cast<uint8_t>(b)]; };
  if (std::ranges::all_of(character, [&](char b) { return byte_id(b) >= 0; })) {
    for (char b : character) push(byte_id(b));
    return n;
  }
  require(
      options_.unknown.has_value(), ErrorKind::kData, kWhere,
      "the character '{}' has no token in this vocabulary and there is no unknown token; remove "
      "it from the text or use a tokenizer with byte fallback",
      replace_invalid_utf8(character));
  push(*options_.unknown);
  return n;
}

// Appends a symbol that is left when nothing merges any more.
void CharBpe::finish(int32_t id, std::vector<int32_t>& out) const {
  if (id >= vocabulary().size()) {
    std::string character;
    append_utf8(character, hidden_[static_cast<size_t>(id - vocabulary().size())]);
    PairMerger::Scratch s;
    s.make_room(character.size());
    const size_t n = start_without_token(character, 0, s);
    for (size_t i = 0; i < n; ++i) finish(s.ids[i], out);
    return;
  }
  if (!unused_.empty() && unused_[static_cast<size_t>(id)].left >= 0) {
    const Halves halves = unused_[static_cast<size_t>(id)];
    finish(halves.left, out);
    return finish(halves.right, out);
  }
  out.push_back(id);
}

void CharBpe::merge(std::string_view piece, PairMerger::Scratch& scratch,
                    std::vector<int32_t>& out) const {
  const size_t first = out.size();
  merger_.merge(start(piece, scratch), scratch, out);
  const auto is_plain = [this](int32_t id) {
    return id < vocabulary().size() && id != options_.unknown &&
           (unused_.empty() || unused_[static_cast<size_t>(id)].left < 0);
  };
  if (std::all_of(out.begin() + static_cast<ptrdiff_t>(first), out.end(), is_plain)) return;
  const std::vector<int32_t> symbols(out.begin() + static_cast<ptrdiff_t>(first), out.end());
  out.resize(first);
  for (const int32_t id : symbols) {
    const size_t at = out.size();
    finish(id, out);
    fuse(first, at, out);
  }
}

void CharBpe::fuse(size_t first, size_t at, std::vector<int32_t>& out) const {
  if (!options_.fuse_unknown || !options_.unknown || at == first || at >= out.size()) return;
  if (out[at] == *options_.unknown && out[at - 1] == *options_.unknown)
    out.erase(out.begin() + static_cast<ptrdiff_t>(at));
}

std::optional<TokenModel::Weight> CharBpe::weight_of(int32_t id) const {
  const auto place = first_merge(merges_, id);
  if (!place) return std::nullopt;
  return Weight{"merge", static_cast<double>(*place)};
}

std::vector<int32_t> CharBpe::encode_with_dropout(std::string_view piece, double dropout,
                                                  const Rng& rng) const {
  PairMerger::Scratch scratch;
  std::vector<int32_t> symbols, ids;
  merger_.merge_with_dropout(start(piece, scratch), dropout, rng, scratch, symbols);
  for (const int32_t id : symbols) {
    const size_t at = ids.size();
    finish(id, ids);
    fuse(0, at, ids);
  }
  return ids;
}

}  // namespace lathe
