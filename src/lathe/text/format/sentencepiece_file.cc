#include "lathe/text/format/sentencepiece_file.h"

#include <array>
#include <cfloat>
#include <climits>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "lathe/base/error.h"
#include "lathe/text/vocabulary.h"
#include "sentencepiece.pb.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "sentencepiece model";
using File = SentencePieceFile;
using Type = File::Type;

File::NormalizerSpec spec_from(const proto::SentencePieceNormalizerSpec& proto) {
  File::NormalizerSpec spec;
  spec.name = proto.name();
  spec.precompiled_charsmap = proto.precompiled_charsmap();
  if (proto.has_add_dummy_prefix()) spec.add_dummy_prefix = proto.add_dummy_prefix();
  if (proto.has_remove_extra_whitespaces())
    spec.remove_extra_whitespaces = proto.remove_extra_whitespaces();
  if (proto.has_escape_whitespaces()) spec.escape_whitespaces = proto.escape_whitespaces();
  return spec;
}

void spec_to(const File::NormalizerSpec& spec, proto::SentencePieceNormalizerSpec& proto) {
  proto.set_name(spec.name);
  proto.set_precompiled_charsmap(spec.precompiled_charsmap);
  proto.set_add_dummy_prefix(spec.add_dummy_prefix);
  proto.set_remove_extra_whitespaces(spec.remove_extra_whitespaces);
  proto.set_escape_whitespaces(spec.escape_whitespaces);
}

File::Piece piece_from(const proto::SentencePieceModel::Piece& proto, int id,
                       std::string_view origin) {
  const int type = proto.has_type() ? proto.type() : static_cast<int>(Type::kNormal);
  require(!proto.piece().empty() && proto.piece().find('\0') == std::string::npos,
          ErrorKind::kFormat, kWhere,
          "{}: piece {} is empty or contains a zero byte, expected text", origin, id);
  require(std::isfinite(proto.score()), ErrorKind::kFormat, kWhere,
          "{}: piece '{}' (id {}) has the score {}, expected a finite number", origin,
          proto.piece(), id, proto.score());
  require(type >= 1 && type <= 6, ErrorKind::kFormat, kWhere,
          "{}: piece '{}' (id {}) has the type {}, expected 1 to 6", origin, proto.piece(), id,
          type);
  return {proto.piece(), proto.score(), static_cast<Type>(type)};
}

// The byte of <0x00> to <0xFF>, or -1.
int byte_of(std::string_view piece) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  const size_t high = kDigits.find(piece[3]), low = kDigits.find(piece[4]);
  if (high == std::string_view::npos || low == std::string_view::npos) return -1;
  return static_cast<int>(high * 16 + low);
}

bool is_matched(Type type) {
  return type == Type::kNormal || type == Type::kUserDefined || type == Type::kUnused;
}

void check_spellings(const File& file, std::string_view origin) {
  std::unordered_set<std::string_view> matched, reserved;
  matched.reserve(file.pieces.size());
  for (const File::Piece& piece : file.pieces)
    require((is_matched(piece.type) ? matched : reserved).insert(piece.text).second,
            ErrorKind::kFormat, kWhere, "{}: piece '{}' is listed twice", origin, piece.text);
}

void check_special_pieces(const File& file, std::string_view origin) {
  int unknown = 0;
  std::array<bool, 256> has_byte{};
  for (const File::Piece& piece : file.pieces) {
    unknown += piece.type == Type::kUnknown;
    if (piece.type != Type::kByte) continue;
    const int byte = byte_of(piece.text);
    require(file.byte_fallback && byte >= 0, ErrorKind::kFormat, kWhere,
            "{}: '{}' is a byte piece, expected {}", origin, piece.text,
            byte < 0 ? "<0x00> to <0xFF>" : "none because byte_fallback is false");
    has_byte[static_cast<size_t>(byte)] = true;
  }
  require(unknown == 1, ErrorKind::kFormat, kWhere,
          "{}: the model has {} unknown pieces, expected one", origin, unknown);
  for (size_t b = 0; b < 256 && file.byte_fallback; ++b)
    require(has_byte[b], ErrorKind::kFormat, kWhere,
            "{}: byte_fallback is true but there is no piece <0x{:02X}>", origin, b);
}

void read_trainer_spec(const proto::SentencePieceTrainerSpec& proto, File& file,
                       std::string_view origin) {
  const int type = proto.has_model_type() ? proto.model_type() : 1;
  require(type >= 1 && type <= 4, ErrorKind::kFormat, kWhere,
          "{}: the model has type {}, expected 1 (unigram), 2 (bpe), 3 (word) or 4 (char)", origin,
          type);
  file.model_type = static_cast<File::ModelType>(type);
  file.byte_fallback = proto.byte_fallback();
  file.treat_whitespace_as_suffix = proto.treat_whitespace_as_suffix();
  if (!proto.unk_piece().empty()) file.unk_piece = proto.unk_piece();
  if (!proto.bos_piece().empty()) file.bos_piece = proto.bos_piece();
  if (!proto.eos_piece().empty()) file.eos_piece = proto.eos_piece();
  if (!proto.pad_piece().empty()) file.pad_piece = proto.pad_piece();
  // Read as a C string there.
  if (proto.has_unk_surface()) file.unk_surface = proto.unk_surface().c_str();
}

// Score of pieces of a Unigram model, as the self-test of `sentencepiece` counts it.
float score_of(const std::vector<std::string>& pieces, const File& file) {
  std::unordered_map<std::string_view, const File::Piece*> by_text;
  float lowest = FLT_MAX, total = 0;
  for (const File::Piece& piece : file.pieces) {
    if (is_matched(piece.type)) by_text[piece.text] = &piece;
    if (piece.type != Type::kNormal) continue;
    lowest = std::min(lowest, piece.score);
  }
  for (const std::string& text : pieces) {
    const auto at = by_text.find(text);
    if (at == by_text.end()) {
      total += lowest - 10;
    } else if (at->second->type == Type::kUserDefined) {
      total += static_cast<float>(0.1 * static_cast<double>(text.size()) - 0.1);
    } else {
      total += at->second->score;
    }
  }
  return total;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (size_t at = 0; at <= text.size();) {
    const size_t space = std::min(text.find(' ', at), text.size());
    words.emplace_back(text.substr(at, space - at));
    at = space + 1;
  }
  return words;
}

}  // namespace

int32_t SentencePieceFile::unk_id() const {
  for (size_t i = 0; i < pieces.size(); ++i)
    if (pieces[i].type == Type::kUnknown) return static_cast<int32_t>(i);
  return -1;
}

int32_t SentencePieceFile::control_id(std::string_view name) const {
  for (size_t i = 0; i < pieces.size(); ++i)
    if (pieces[i].type == Type::kControl && pieces[i].text == name) return static_cast<int32_t>(i);
  return -1;
}

bool begins_as_sentencepiece(std::string_view bytes) {
  // The first field is a piece (field 1, a message), whose first field is its text (field 1).
  constexpr char kFirstField = 0x0A;
  if (bytes.size() < 4 || bytes[0] != kFirstField) return false;
  size_t at = 1;
  while (at < 4 && (bytes[at] & 0x80) != 0) ++at;
  return at + 1 < bytes.size() && bytes[at + 1] == kFirstField;
}

SentencePieceFile read_sentencepiece(std::string_view bytes, std::string_view origin) {
  proto::SentencePieceModel proto;
  require(
      bytes.size() <= INT_MAX && proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())),
      ErrorKind::kFormat, kWhere,
      "{}: {} bytes are not a SentencePiece model (a ModelProto); the file is damaged or of "
      "another kind",
      origin, bytes.size());
  require(proto.pieces_size() > 0 && proto.pieces_size() - 1 <= Vocabulary::kMaxId,
          ErrorKind::kFormat, kWhere, "{}: the model has {} pieces, expected 1 to {}", origin,
          proto.pieces_size(), Vocabulary::kMaxId + 1);
  SentencePieceFile file;
  read_trainer_spec(proto.trainer_spec(), file, origin);
  file.pieces.reserve(static_cast<size_t>(proto.pieces_size()));
  for (int i = 0; i < proto.pieces_size(); ++i)
    file.pieces.push_back(piece_from(proto.pieces(i), i, origin));
  check_spellings(file, origin);
  check_special_pieces(file, origin);
  file.normalizer = spec_from(proto.normalizer_spec());
  if (proto.has_denormalizer_spec()) file.denormalizer = spec_from(proto.denormalizer_spec());
  for (const auto& sample : proto.self_test_data().samples())
    file.self_test.push_back({sample.input(), sample.expected()});
  return file;
}

std::string write_sentencepiece(const SentencePieceFile& file) {
  proto::SentencePieceModel proto;
  proto::SentencePieceTrainerSpec& spec = *proto.mutable_trainer_spec();
  for (const File::Piece& piece : file.pieces) {
    auto* p = proto.add_pieces();
    p->set_piece(piece.text);
    p->set_score(piece.score);
    if (piece.type != Type::kNormal) p->set_type(static_cast<int>(piece.type));
    if (piece.type == Type::kUserDefined) spec.add_user_defined_symbols(piece.text);
    if (piece.type == Type::kControl && piece.text != file.bos_piece &&
        piece.text != file.eos_piece && piece.text != file.pad_piece)
      spec.add_control_symbols(piece.text);
  }
  spec.set_model_type(static_cast<int>(file.model_type));
  spec.set_vocab_size(static_cast<int>(file.pieces.size()));
  spec.set_byte_fallback(file.byte_fallback);
  spec.set_treat_whitespace_as_suffix(file.treat_whitespace_as_suffix);
  spec.set_unk_id(file.unk_id());
  spec.set_bos_id(file.bos_id());
  spec.set_eos_id(file.eos_id());
  spec.set_pad_id(file.pad_id());
  spec.set_unk_piece(file.unk_piece);
  spec.set_bos_piece(file.bos_piece);
  spec.set_eos_piece(file.eos_piece);
  spec.set_pad_piece(file.pad_piece);
  spec.set_unk_surface(file.unk_surface);
  spec_to(file.normalizer, *proto.mutable_normalizer_spec());
  if (file.denormalizer) spec_to(*file.denormalizer, *proto.mutable_denormalizer_spec());
  for (const File::Sample& sample : file.self_test) {
    auto* s = proto.mutable_self_test_data()->add_samples();
    s->set_input(sample.input);
    s->set_expected(sample.expected);
  }
  return proto.SerializeAsString();
}

namespace {

bool is_piece(const File& file, std::string_view text) {
  return std::ranges::find(file.pieces, text, &File::Piece::text) != file.pieces.end();
}

bool same_pieces(const std::vector<std::string>& got, const std::vector<std::string>& want,
                 const File& file) {
  return std::ranges::equal(got, want, [&](const std::string& a, const std::string& b) {
    return a == b || (a == file.unk_piece && !is_piece(file, b));
  });
}

}  // namespace

void check_self_test(const SentencePieceFile& file, std::string_view origin,
                     const std::function<std::vector<std::string>(std::string_view)>& encode) {
  constexpr float kNear = 1e-7f;
  for (const File::Sample& sample : file.self_test) {
    const std::vector<std::string> got = encode(sample.input), want = words_of(sample.expected);
    if (same_pieces(got, want, file)) continue;
    const bool as_good = file.model_type == File::ModelType::kUnigram &&
                         std::abs(score_of(got, file) - score_of(want, file)) <= kNear;
    require(as_good, ErrorKind::kData, kWhere,
            "{}: the self-test encodes '{}' to '{}', expected '{}'", origin, sample.input,
            fmt::join(got, " "), sample.expected);
  }
}

}  // namespace lathe
