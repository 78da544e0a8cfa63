#include "lathe/text/format/sentencepiece_reader.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/text/format/sentencepiece_parts.h"
#include "lathe/text/model/char_bpe.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using Type = SentencePieceFile::Type;
using ModelType = SentencePieceFile::ModelType;

// Of a model of characters every longer piece is only ever an id.
PieceRole role_of(const SentencePieceFile::Piece& piece, ModelType model) {
  if (piece.type == Type::kUnused) return PieceRole::kUnused;
  if (piece.type != Type::kNormal && piece.type != Type::kUserDefined) return PieceRole::kNone;
  const uint8_t *p = as_bytes(piece.text), *end = p + piece.text.size();
  const bool character = p < end && decode_utf8(p, end).size == piece.text.size();
  return model == ModelType::kChar && !character ? PieceRole::kNone : PieceRole::kNormal;
}

std::unique_ptr<const TokenModel> char_bpe_of(const SentencePieceFile& file,
                                              std::string_view origin) {
  std::vector<float> scores;
  std::vector<PieceRole> roles;
  for (const SentencePieceFile::Piece& piece : file.pieces) {
    scores.push_back(piece.score);
    roles.push_back(role_of(piece, file.model_type));
  }
  CharBpeOptions options;
  options.unknown = file.unk_id();
  options.byte_fallback = file.byte_fallback;
  options.fuse_unknown = !file.byte_fallback;  // with it there are none
  return std::make_unique<CharBpe>(
      CharBpe::by_score(vocabulary_of(file, origin), scores, roles, options, origin));
}

std::unique_ptr<const TokenModel> model_of(const SentencePieceFile& file, std::string_view origin) {
  require(file.model_type != ModelType::kWord, ErrorKind::kFormat, "sentencepiece model",
          "{} is a model of whole words, expected a Unigram, BPE or character model", origin);
  if (file.model_type == ModelType::kUnigram) return unigram_model_of(file, origin);
  return char_bpe_of(file, origin);
}

std::vector<AddedToken> added_tokens_of(const SentencePieceFile& file) {
  std::vector<AddedToken> added;
  for (size_t id = 0; id < file.pieces.size(); ++id) {
    const SentencePieceFile::Piece& piece = file.pieces[id];
    const bool user = piece.type == Type::kUserDefined;
    if (!user && piece.type != Type::kControl && piece.type != Type::kUnknown) continue;
    AddedToken& token = added.emplace_back();
    token.id = static_cast<int32_t>(id);
    token.content = piece.text;
    token.special = !user;
    // A Unigram model finds the user's symbols by itself.
    token.searched = user && file.model_type != ModelType::kUnigram;
    token.normalized = token.verbatim = user;
  }
  return added;
}

const AddedToken* token_with(const std::vector<AddedToken>& added, int32_t id) {
  const auto found = std::ranges::find(added, id, &AddedToken::id);
  return found == added.end() ? nullptr : &*found;
}

}  // namespace

Tokenizer sentencepiece_tokenizer(SentencePieceFile file, std::string_view origin) {
  std::unique_ptr<const TokenModel> model = model_of(file, origin);
  std::vector<AddedToken> added = added_tokens_of(file);
  const AddedToken* bos = token_with(added, file.bos_id());
  const AddedToken* eos = bos == nullptr ? token_with(added, file.eos_id()) : nullptr;
  TokenizerParts parts{.normalizer = normalization_of(file, origin).to_json(),
                       .post_processor = template_processor(bos, eos)};
  SentencePieceDecoding decoding = SentencePieceDecoding::of(file, origin);
  decoding.keep_invalid_bytes = true;
  auto own = std::make_unique<const SentencePieceParts>(
      SentencePieceParts{std::move(file), std::move(decoding)});
  return Tokenizer(std::make_unique<const TokenizerData>(std::move(model), std::move(added),
                                                         std::move(parts), origin, std::move(own)));
}

}  // namespace lathe
