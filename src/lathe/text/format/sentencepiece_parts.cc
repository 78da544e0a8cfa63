#include "lathe/text/format/sentencepiece_parts.h"

#include "lathe/base/error.h"

namespace lathe {
namespace {

using Type = SentencePieceFile::Type;

UnigramPiece::Role role_of(Type type) {
  if (type == Type::kNormal) return UnigramPiece::Role::kNormal;
  if (type == Type::kUserDefined) return UnigramPiece::Role::kUserDefined;
  return UnigramPiece::Role::kUnmatched;
}

}  // namespace

SentencePieceNormalization normalization_of(const SentencePieceFile& file,
                                            std::string_view origin) {
  SentencePieceNormalization n;
  n.charsmap = CharsMap::parse(file.normalizer.precompiled_charsmap, origin);
  n.add_dummy_prefix = file.normalizer.add_dummy_prefix;
  n.remove_extra_whitespaces = file.normalizer.remove_extra_whitespaces;
  n.escape_whitespaces = file.normalizer.escape_whitespaces;
  n.treat_whitespace_as_suffix = file.treat_whitespace_as_suffix;
  n.keep_invalid_bytes = file.byte_fallback;
  for (const SentencePieceFile::Piece& piece : file.pieces)
    if (piece.type == Type::kUserDefined) n.user_defined_symbols.push_back(piece.text);
  return n;
}

Vocabulary vocabulary_of(const SentencePieceFile& file, std::string_view origin) {
  std::vector<VocabularyEntry> entries;
  for (const SentencePieceFile::Piece& piece : file.pieces)
    entries.push_back(
        {static_cast<int32_t>(entries.size()), piece.text,
         role_of(piece.type) == UnigramPiece::Role::kUnmatched && piece.type != Type::kUnused});
  return Vocabulary(entries, origin);
}

std::unique_ptr<UnigramModel> unigram_model_of(const SentencePieceFile& file,
                                               std::string_view origin) {
  require(file.model_type == SentencePieceFile::ModelType::kUnigram, ErrorKind::kUsage,
          "sentencepiece model", "{} is not a Unigram model", origin);
  std::vector<UnigramPiece> pieces;
  for (const SentencePieceFile::Piece& piece : file.pieces)
    pieces.push_back({piece.score, role_of(piece.type)});
  const UnigramOptions options{UnigramArithmetic::kFloatThroughText, file.unk_id(),
                               file.byte_fallback};
  return std::make_unique<UnigramModel>(vocabulary_of(file, origin), std::move(pieces), options,
                                        origin);
}

}  // namespace lathe
