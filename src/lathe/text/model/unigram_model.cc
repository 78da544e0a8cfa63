#include "lathe/text/model/unigram_model.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/text/byte_tokens.h"
#include "lathe/text/metaspace.h"
#include "lathe/text/model/unigram_encoder.h"
#include "lathe/text/model/unigram_lattice.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "unigram model";
constexpr float kUnknownPenalty = 10;

using Role = UnigramPiece::Role;

// As `sentencepiece` has it.
double user_defined_score(size_t length) {
  return static_cast<float>(0.1 * static_cast<double>(length) - 0.1);
}

}  // namespace

UnigramModel::UnigramModel(Vocabulary words, std::vector<UnigramPiece> pieces,
                           const UnigramOptions& options, std::string_view origin)
    : TokenModel(std::move(words)), options_(options), pieces_(std::move(pieces)) {
  check_pieces(origin);
  find_scores();
  find_byte_ids(origin);
  build_trie();
}

void UnigramModel::check_pieces(std::string_view origin) const {
  require(static_cast<int64_t>(pieces_.size()) == vocabulary().size(), ErrorKind::kFormat, kWhere,
          "{}: there are {} scores for {} pieces", origin, pieces_.size(), vocabulary().size());
  require(options_.unknown_id < 0 || vocabulary().has(options_.unknown_id), ErrorKind::kFormat,
          kWhere, "{}: the unknown piece has id {}, which is no piece's", origin,
          options_.unknown_id);
  for (int32_t id = 0; id < vocabulary().size(); ++id) {
    if (!vocabulary().has(id)) continue;
    const std::string_view piece = vocabulary().bytes(id);
    require(std::isfinite(pieces_[id].score), ErrorKind::kFormat, kWhere,
            "{}: piece '{}' (id {}) has the score {}, expected a finite number", origin, piece, id,
            pieces_[id].score);
    if (pieces_[id].role == Role::kUnmatched) continue;
    require(pieces_[id].role == Role::kNormal ||
                options_.arithmetic == UnigramArithmetic::kFloatThroughText,
            ErrorKind::kFormat, kWhere,
            "{}: piece '{}' (id {}) is user-defined, which only SentencePiece models know", origin,
            piece, id);
    require(!piece.empty(), ErrorKind::kFormat, kWhere, "{}: piece {} is empty, expected text",
            origin, id);
    require(is_valid_utf8(piece), ErrorKind::kFormat, kWhere, "{}: piece '{}' (id {}) is not UTF-8",
            origin, piece, id);
  }
}

void UnigramModel::find_scores() {
  const bool in_float = options_.arithmetic == UnigramArithmetic::kFloatThroughText;
  double lowest = in_float ? FLT_MAX : INFINITY;
  for (const UnigramPiece& piece : pieces_)
    if (piece.role == Role::kNormal) lowest = std::min(lowest, piece.score);
  unknown_score_ =
      in_float ? static_cast<float>(lowest) - kUnknownPenalty : lowest - kUnknownPenalty;
  scores_.resize(pieces_.size());
  for (int32_t id = 0; id < vocabulary().size(); ++id)
    scores_[id] = pieces_[id].role == Role::kUserDefined
                      ? user_defined_score(vocabulary().bytes(id).size())
                      : pieces_[id].score;
  if (!in_float) return;
  if (options_.unknown_id >= 0) scores_[options_.unknown_id] = unknown_score_;
  float_scores_.assign(scores_.begin(), scores_.end());
}

double UnigramModel::lattice_score(int32_t id) const {
  if (pieces_[id].role != Role::kUserDefined) return scores_[id];
  const std::string_view piece = vocabulary().bytes(id);
  const auto characters = std::count_if(
      piece.begin(), piece.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
  return user_defined_score(static_cast<size_t>(characters));
}

void UnigramModel::find_byte_ids(std::string_view origin) {
  byte_ids_.fill(-1);
  if (!options_.byte_fallback) return;
  for (size_t b = 0; b < 256; ++b) {
    const std::string spelling = byte_token(static_cast<uint8_t>(b));
    auto id = vocabulary().find(spelling);
    if (!id) id = vocabulary().find_literal(spelling);
    require(id || options_.arithmetic == UnigramArithmetic::kDoublePerPiece, ErrorKind::kFormat,
            kWhere, "{}: there is no piece {}, which byte fallback needs", origin, spelling);
    byte_ids_[b] = id.value_or(-1);
  }
}

void UnigramModel::build_trie() {
  std::string bytes;  // of all keys
  std::vector<DoubleArray::Entry> entries;
  size_t size = 0;
  const auto each_piece = [this](auto&& f) {
    for (int32_t id = 0; id < vocabulary().size(); ++id)
      if (vocabulary().has(id) && pieces_[id].role != Role::kUnmatched)
        f(vocabulary().bytes(id), id);
  };
  each_piece([&](std::string_view piece, int32_t) { size += piece.size(); });
  bytes.reserve(size);  // so that it stays where it is
  entries.reserve(pieces_.size());
  each_piece([&](std::string_view piece, int32_t id) {
    find_joined_marks(piece);
    find_characters(piece);
    const size_t begin = bytes.size();
    for (const char c : piece) bytes += static_cast<char>(trie_byte(static_cast<uint8_t>(c)));
    entries.push_back({std::string_view(bytes).substr(begin), id});
  });
  cuts_ = CharCuts(entries.size());
  each_piece([this](std::string_view piece, int32_t) { cuts_.add(piece); });
  std::sort(entries.begin(), entries.end(),
            [](const DoubleArray::Entry& a, const DoubleArray::Entry& b) { return a.key < b.key; });
  trie_ = DoubleArray::build(entries);
}

void UnigramModel::find_joined_marks(std::string_view piece) {
  for (size_t at = piece.find(kSpaceMark); at != std::string_view::npos;) {
    const size_t behind = at + kSpaceMark.size();
    const bool mark_behind = piece.substr(behind).starts_with(kSpaceMark);
    if (at > 0) joined_[piece.substr(0, at).ends_with(kSpaceMark)][1] = true;
    if (behind < piece.size()) joined_[1][mark_behind] = true;
    at = piece.find(kSpaceMark, behind);
  }
}

void UnigramModel::find_characters(std::string_view piece) {
  const uint8_t *p = as_bytes(piece), *end = p + piece.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    characters_[c.value >> 6] |= uint64_t{1} << (c.value & 63);  // pieces are UTF-8
    p += c.size;
  }
}

void UnigramModel::append_unknown(const uint8_t* p, const uint8_t* end,
                                  std::vector<int32_t>& out) const {
  if (options_.arithmetic == UnigramArithmetic::kDoublePerPiece) {
    const std::string_view text(reinterpret_cast<const char*>(p), static_cast<size_t>(end - p));
    if (const auto id = vocabulary().find(text)) return out.push_back(*id);
  }
  if (options_.byte_fallback && std::all_of(p, end, [&](uint8_t b) { return byte_ids_[b] >= 0; })) {
    for (; p < end; ++p) out.push_back(byte_ids_[*p]);
    return;
  }
  require(options_.unknown_id >= 0, ErrorKind::kData, kWhere,
          "the text holds '{}', for which the vocabulary has no piece, and it has no unknown piece",
          std::string_view(reinterpret_cast<const char*>(p), static_cast<size_t>(end - p)));
  out.push_back(options_.unknown_id);
}

std::unique_ptr<TextEncoder> UnigramModel::encoder(const PreTokenizer& pre_tokenizer) const {
  return unigram_encoder(*this, pre_tokenizer);
}

std::vector<TokenModel::Segmentation> UnigramModel::nbest(std::string_view piece, int64_t n) const {
  return unigram_nbest(*this, piece, n);
}

std::vector<int32_t> UnigramModel::sample(std::string_view piece, double alpha,
                                          const Rng& rng) const {
  return unigram_sample(*this, piece, alpha, rng);
}

std::vector<TokenModel::LatticePiece> UnigramModel::lattice(std::string_view piece) const {
  return unigram_lattice(*this, piece);
}

std::optional<TokenModel::Weight> UnigramModel::weight_of(int32_t id) const {
  const auto place = static_cast<size_t>(id);
  if (id < 0 || place >= pieces_.size()) return std::nullopt;
  if (id == options_.unknown_id) return Weight{"score", unknown_score_};
  if (pieces_[place].role == UnigramPiece::Role::kUnmatched) return std::nullopt;
  return Weight{"score", lattice_score(id)};
}

}  // namespace lathe
