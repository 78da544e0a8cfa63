#include "lathe/text/format/sentencepiece_reader.h"

#include <algorithm>
#include <set>

#include "lathe/base/error.h"
#include "lathe/text/format/sentencepiece_parts.h"
#include "lathe/text/model/char_bpe.h"
#include "lathe/text/model/marked_words.h"
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

std::unique_ptr<const TokenModel> words_of(const SentencePieceFile& file, std::string_view origin) {
  require(!file.byte_fallback, ErrorKind::kFormat, "sentencepiece model",
          "{} is a model of whole words with byte fallback, expected one without", origin);
  return std::make_unique<MarkedWords>(vocabulary_of(file, origin), file.unk_id());
}

std::unique_ptr<const TokenModel> model_of(const SentencePieceFile& file, std::string_view origin) {
  if (file.model_type == ModelType::kWord) return words_of(file, origin);
  if (file.model_type == ModelType::kUnigram) return unigram_model_of(file, origin);
  return char_bpe_of(file, origin);
}

// Tokens of `further` that the file lacks become the user's symbols in it; the result says which of
// them are special, by id from the first one on.
std::vector<bool> append_symbols(SentencePieceFile& file, std::span<const AddedToken> further,
                                 std::string_view origin) {
  std::vector<bool> special;
  if (further.empty()) return special;
  std::set<std::string> own;
  for (const SentencePieceFile::Piece& piece : file.pieces) own.insert(piece.text);
  for (const AddedToken& token : further) {
    if (!own.insert(token.content).second) continue;
    require(token.id == static_cast<int64_t>(file.pieces.size()), ErrorKind::kFormat,
            "tokenizer_config.json",
            "token '{}' has id {}, but the next one behind those of {} is {}; number the added "
            "tokens without gaps",
            token.content, token.id, origin, file.pieces.size());
    file.pieces.push_back({token.content, 0, Type::kUserDefined});
    special.push_back(token.special);
  }
  return special;
}

// A Unigram model finds the user's symbols by itself, and one of words does not look for them.
bool is_searched(const SentencePieceFile& file, bool special) {
  return special || file.model_type == ModelType::kBpe || file.model_type == ModelType::kChar;
}

// The model does not see the symbols that were appended and are found before it sees a text.
std::unique_ptr<const TokenModel> model_without_symbols(const SentencePieceFile& file,
                                                        const std::vector<bool>& special,
                                                        std::string_view origin) {
  if (special.empty()) return model_of(file, origin);
  SentencePieceFile seen = file;
  const size_t first = file.pieces.size() - special.size();
  for (size_t i = 0; i < special.size(); ++i)
    if (is_searched(file, special[i])) seen.pieces[first + i].type = Type::kControl;
  return model_of(seen, origin);
}

std::vector<AddedToken> added_tokens_of(const SentencePieceFile& file,
                                        const std::vector<bool>& special) {
  std::vector<AddedToken> added;
  const size_t first = file.pieces.size() - special.size();
  for (size_t id = 0; id < file.pieces.size(); ++id) {
    const SentencePieceFile::Piece& piece = file.pieces[id];
    const bool user = piece.type == Type::kUserDefined;
    if (!user && piece.type != Type::kControl && piece.type != Type::kUnknown) continue;
    AddedToken& token = added.emplace_back();
    token.id = static_cast<int32_t>(id);
    token.content = piece.text;
    token.special = !user || (id >= first && special[id - first]);
    token.searched = user && is_searched(file, token.special);
    token.normalized = token.verbatim = user;
  }
  return added;
}

const AddedToken* token_with(const std::vector<AddedToken>& added, int32_t id) {
  const auto found = std::ranges::find(added, id, &AddedToken::id);
  return found == added.end() ? nullptr : &*found;
}

}  // namespace

Tokenizer sentencepiece_tokenizer(SentencePieceFile file, std::string_view origin,
                                  std::span<const AddedToken> further) {
  const std::vector<bool> special = append_symbols(file, further, origin);
  std::unique_ptr<const TokenModel> model = model_without_symbols(file, special, origin);
  std::vector<AddedToken> added = added_tokens_of(file, special);
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
