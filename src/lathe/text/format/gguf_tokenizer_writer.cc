#include "lathe/text/format/gguf_tokenizer_writer.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/text/format/gguf_pre_tokenizers.h"
#include "lathe/text/format/sentencepiece_writer.h"
#include "lathe/text/model/byte_bpe.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

void can(bool condition, std::string_view obstacle) {
  require(condition, ErrorKind::kFormat, "gguf", "a GGUF file cannot hold this tokenizer: {}",
          obstacle);
}

// The same for what the ids of most texts do not depend on.
void would_be_lost(bool is_there, std::string obstacle, const GgufVocabularyOptions& options) {
  if (!is_there) return;
  can(options.left_out != nullptr, obstacle);
  options.left_out->push_back(std::move(obstacle));
}

std::optional<int32_t> first_of(std::span<const int32_t> ids) {
  return ids.empty() ? std::nullopt : std::optional(ids.front());
}

// Every id gets a token: those that the vocabulary leaves out are unused.
void put_tokens(const TokenizerData& data, GgufVocabulary& out) {
  for (int32_t id = 0; id < data.vocab_size; ++id) {
    const AddedToken* added = data.added_token(id);
    if (!data.has(id)) {
      out.tokens.push_back(fmt::format("[PAD{}]", id));
      out.types.push_back(GgufTokenType::kUnused);
      continue;
    }
    out.tokens.push_back(data.spelling_of_token(id));
    out.types.push_back(added == nullptr ? GgufTokenType::kNormal
                        : added->special ? GgufTokenType::kControl
                                         : GgufTokenType::kUserDefined);
  }
}

// Whether digits are never merged, among so many merges that this is no accident.
bool digits_stand_alone(const TokenizerData& data, const ByteBpe& model) {
  constexpr size_t kManyMerges = 8192;
  if (model.merges().size() < kManyMerges) return false;
  const auto has_digit = [&](int32_t id) {
    return data.spelling_of_token(id).find_first_of("0123456789") != std::string::npos;
  };
  return std::ranges::none_of(
      model.merges(), [&](const Merge& m) { return has_digit(m.left) || has_digit(m.right); });
}

GgufVocabulary byte_level(const TokenizerData& data, const ByteBpe& model,
                          const GgufVocabularyOptions& options) {
  would_be_lost(!data.parts.normalizer.is_null(), "it has a normaliser", options);
  can(!model.options().unknown, "it has an unknown token");
  for (const AddedToken& token : data.added)
    would_be_lost(
        token.lstrip || token.rstrip || token.single_word,
        fmt::format("'{}' takes white space along or stands only between words", token.content),
        options);
  auto name = gguf_pre_tokenizer_name(data.parts.pre_tokenizer, model.options().ignore_merges);
  can(name.has_value(), "llama.cpp has no name for how it splits text");
  if (options.as_trained && digits_stand_alone(data, model))
    name = gguf_pre_tokenizer_with_lone_digits(*name).value_or(*name);
  GgufVocabulary out;
  out.model = "gpt2";
  out.pre = *name;
  put_tokens(data, out);
  const auto spelled = [&](int32_t id) {
    return spelling_of(data.vocabulary(), id, data.spelling());
  };
  for (const Merge& m : model.merges())
    out.merges.push_back(spelled(m.left) + " " + spelled(m.right));
  out.bos = first_of(data.prefix);
  out.eos = first_of(data.suffix);
  out.add_bos = !data.prefix.empty();
  out.add_eos = !data.suffix.empty();
  return out;
}

GgufVocabulary sentencepiece(const TokenizerData& data, const SentencePieceFile& file,
                             const GgufVocabularyOptions& options) {
  const bool unigram = file.model_type == SentencePieceFile::ModelType::kUnigram;
  can(!file.treat_whitespace_as_suffix, "it writes white space behind words");
  can(file.normalizer.escape_whitespaces, "it leaves spaces as they are");
  if (!unigram) {
    can(file.model_type == SentencePieceFile::ModelType::kBpe, "it is a model of characters");
    can(file.byte_fallback, "it has no byte fallback");
    would_be_lost(!file.normalizer.precompiled_charsmap.empty(), "it normalises by a character map",
                  options);
    would_be_lost(file.normalizer.remove_extra_whitespaces, "it removes white space", options);
  }
  GgufVocabulary out;
  out.model = unigram ? "t5" : "llama";
  out.pre = "default";
  for (const SentencePieceFile::Piece& piece : file.pieces) {
    out.tokens.push_back(piece.text);
    out.scores.push_back(piece.score);
    out.types.push_back(static_cast<GgufTokenType>(piece.type));
  }
  const auto id = [](int32_t i) { return i < 0 ? std::nullopt : std::optional(i); };
  out.unknown = file.unk_id();
  out.bos = id(file.bos_id());
  out.eos = id(file.eos_id());
  out.padding = id(file.pad_id());
  out.add_bos = !data.prefix.empty();
  out.add_eos = !data.suffix.empty();
  out.add_space_prefix = file.normalizer.add_dummy_prefix;
  if (!unigram) return out;
  out.remove_extra_whitespaces = file.normalizer.remove_extra_whitespaces;
  out.precompiled_charsmap = file.normalizer.precompiled_charsmap;
  return out;
}

}  // namespace

GgufVocabulary gguf_vocabulary_of(const Tokenizer& tokenizer,
                                  const GgufVocabularyOptions& options) {
  const TokenizerData& data = tokenizer.data();
  if (data.sentencepiece) return sentencepiece(data, data.sentencepiece->file, options);
  if (const auto* model = dynamic_cast<const ByteBpe*>(data.model.get()))
    return byte_level(data, *model, options);
  return sentencepiece(data, sentencepiece_file_of(tokenizer), options);
}

}  // namespace lathe
