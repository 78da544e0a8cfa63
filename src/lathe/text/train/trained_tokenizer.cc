#include "lathe/text/train/trained_tokenizer.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/text/model/byte_bpe.h"
#include "lathe/text/model/char_bpe.h"
#include "lathe/text/model/unigram_model.h"
#include "lathe/text/model/word_piece.h"

namespace lathe {
namespace {

constexpr std::string_view kOrigin = "the trained tokenizer";
using Type = TrainedPiece::Type;

Vocabulary vocabulary_of(const TrainedVocabulary& trained) {
  std::vector<VocabularyEntry> entries;
  for (const TrainedPiece& piece : trained.pieces)
    entries.push_back({static_cast<int32_t>(entries.size()), piece.text, false});
  return Vocabulary(entries, kOrigin);
}

std::optional<int32_t> unknown_of(const TrainedVocabulary& trained) {
  return trained.unknown_id < 0 ? std::nullopt : std::optional(trained.unknown_id);
}

bool has_byte_tokens(const TrainedVocabulary& trained) {
  return std::ranges::any_of(trained.pieces,
                             [](const TrainedPiece& piece) { return piece.type == Type::kByte; });
}

std::unique_ptr<const TokenModel> char_bpe(TrainedVocabulary& trained) {
  CharBpeOptions options;
  options.unknown = unknown_of(trained);
  options.byte_fallback = has_byte_tokens(trained);
  options.fuse_unknown = trained.kind == VocabularyKind::kBpe && !options.byte_fallback;
  return std::make_unique<CharBpe>(vocabulary_of(trained), std::move(trained.merges), options);
}

std::unique_ptr<const TokenModel> unigram(const TrainedVocabulary& trained) {
  std::vector<UnigramPiece> pieces;
  for (const TrainedPiece& piece : trained.pieces)
    pieces.push_back({piece.score, UnigramPiece::Role::kNormal});
  UnigramOptions options;
  options.unknown_id = trained.unknown_id;
  options.byte_fallback = has_byte_tokens(trained);
  return std::make_unique<UnigramModel>(vocabulary_of(trained), std::move(pieces), options,
                                        kOrigin);
}

std::unique_ptr<const TokenModel> model_of(TrainedVocabulary& trained) {
  switch (trained.kind) {
    case VocabularyKind::kBpe:
    case VocabularyKind::kCharacter:
      return char_bpe(trained);
    case VocabularyKind::kUnigram:
      return unigram(trained);
    case VocabularyKind::kWordPiece: {
      WordPieceOptions options;
      options.unknown = unknown_of(trained);
      options.continuing_prefix = kContinuingPrefix;
      return std::make_unique<WordPiece>(vocabulary_of(trained), options);
    }
    case VocabularyKind::kByte:
      return std::make_unique<ByteBpe>(vocabulary_of(trained), std::vector<Merge>(),
                                       ByteBpeOptions());
  }
  fail(ErrorKind::kConfig, "train", "unknown kind of vocabulary");
}

std::vector<AddedToken> added_tokens_of(const TrainedVocabulary& trained) {
  std::vector<AddedToken> added;
  for (size_t id = 0; id < trained.pieces.size(); ++id) {
    const TrainedPiece& piece = trained.pieces[id];
    if (piece.type == Type::kNormal || piece.type == Type::kByte) continue;
    AddedToken& token = added.emplace_back();
    token.id = static_cast<int32_t>(id);
    token.content = piece.text;
    token.special = piece.type != Type::kUser;
  }
  return added;
}

SentencePieceFile::Type type_of(Type type) {
  switch (type) {
    case Type::kNormal:
      return SentencePieceFile::Type::kNormal;
    case Type::kUnknown:
      return SentencePieceFile::Type::kUnknown;
    case Type::kControl:
      return SentencePieceFile::Type::kControl;
    case Type::kUser:
      return SentencePieceFile::Type::kUserDefined;
    case Type::kByte:
      return SentencePieceFile::Type::kByte;
  }
  fail(ErrorKind::kConfig, "train", "unknown type of piece");
}

}  // namespace

Tokenizer trained_tokenizer(TrainedVocabulary trained, TokenizerParts parts) {
  if (trained.kind == VocabularyKind::kByte) {
    parts.pre_tokenizer = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", false}};
    parts.decoder = {{"type", "ByteLevel"}};
  }
  std::vector<AddedToken> added = added_tokens_of(trained);
  return Tokenizer(std::make_unique<const TokenizerData>(model_of(trained), std::move(added),
                                                         std::move(parts), kOrigin));
}

SentencePieceFile trained_sentencepiece(const TrainedVocabulary& trained, const std::string& name,
                                        const CharsMap& charsmap) {
  SentencePieceFile file;
  file.model_type = trained.kind == VocabularyKind::kUnigram
                        ? SentencePieceFile::ModelType::kUnigram
                        : SentencePieceFile::ModelType::kBpe;
  file.byte_fallback = has_byte_tokens(trained);
  file.normalizer.name = name;
  if (!charsmap.empty()) file.normalizer.precompiled_charsmap = charsmap.compiled();
  for (const TrainedPiece& piece : trained.pieces)
    file.pieces.push_back({piece.text, static_cast<float>(piece.score), type_of(piece.type)});
  return file;
}

}  // namespace lathe
