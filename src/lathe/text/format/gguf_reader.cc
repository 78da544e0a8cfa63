#include "lathe/text/format/gguf_reader.h"

#include <array>
#include <unordered_set>

#include "lathe/base/catalogue.h"
#include "lathe/base/strings.h"
#include "lathe/base/utf8.h"
#include "lathe/text/format/gguf_pre_tokenizers.h"
#include "lathe/text/format/model_kinds.h"
#include "lathe/text/format/part_json.h"
#include "lathe/text/format/sentencepiece_reader.h"
#include "lathe/text/metaspace.h"
#include "lathe/text/model/char_bpe.h"
#include "lathe/text/model/word_piece.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using text_json::Json;

// Of a merge listed twice the first counts for llama.cpp, the last for a tokenizer.json.
TokenSections sections_of(const GgufVocabulary& vocabulary) {
  TokenSections sections;
  for (const std::string& token : vocabulary.tokens)
    sections.vocab.emplace_back(token, static_cast<int32_t>(sections.vocab.size()));
  std::unordered_set<std::string_view> seen;
  for (const std::string& merge : vocabulary.merges) {
    if (!seen.insert(merge).second) continue;
    const size_t space = merge.find(' ', 1);
    sections.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  return sections;
}

std::vector<AddedToken> added_tokens(const GgufVocabulary& vocabulary) {
  std::vector<AddedToken> added;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (!is_gguf_added(vocabulary, id)) continue;
    AddedToken token;
    token.id = static_cast<int32_t>(id);
    token.content = vocabulary.tokens[id];
    token.special = vocabulary.type(id) != GgufTokenType::kUserDefined;
    added.push_back(std::move(token));
  }
  return added;
}

// Puts BOS before a text and EOS behind it.
Json post_processor(const GgufVocabulary& vocabulary, bool add_bos, bool add_eos) {
  const auto token = [&](bool wanted, std::optional<int32_t> id) {
    std::optional<AddedToken> added;
    if (!wanted || !id) return added;
    added.emplace();
    added->id = *id;
    added->content = vocabulary.tokens[static_cast<size_t>(*id)];
    return added;
  };
  const auto before = token(add_bos, vocabulary.bos), behind = token(add_eos, vocabulary.eos);
  return template_processor(before ? &*before : nullptr, behind ? &*behind : nullptr);
}

Tokenizer assemble(std::unique_ptr<const TokenModel> model, const GgufVocabulary& vocabulary,
                   std::string_view origin, TokenizerParts parts) {
  return Tokenizer(std::make_unique<const TokenizerData>(std::move(model), added_tokens(vocabulary),
                                                         std::move(parts), origin));
}

// Without merges only single bytes could be made, whatever else the vocabulary has.
void check_merges(const GgufVocabulary& vocabulary, std::string_view origin) {
  if (!vocabulary.merges.empty()) return;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    const size_t first = decode_utf8(as_bytes(token), as_bytes(token) + token.size()).size;
    require(is_gguf_added(vocabulary, id) || vocabulary.type(id) != GgufTokenType::kNormal ||
                first == token.size(),
            ErrorKind::kFormat, origin,
            "has the token '{}' of several bytes but no merges (tokenizer.ggml.merges) that could "
            "make it; convert the model anew",
            token);
  }
}

Tokenizer byte_level_bpe(const GgufVocabulary& vocabulary, std::string_view origin) {
  const GgufPreTokenizer& pre = find_gguf_pre_tokenizer(vocabulary.pre, origin);
  require(pre.byte_level, ErrorKind::kFormat, origin,
          "key 'tokenizer.ggml.pre': '{}' is BPE on characters, which is not supported for GGUF; "
          "supported is byte-level BPE",
          pre.name);
  check_merges(vocabulary, origin);
  const Json post = post_processor(vocabulary, vocabulary.add_bos.value_or(pre.add_bos),
                                   vocabulary.add_eos.value_or(false));
  const Json fields = {{"type", "BPE"},
                       {"ignore_merges", pre.ignore_merges},
                       {"vocab", Json::object()},
                       {"merges", Json::array()}};
  ModelJson model{fields, sections_of(vocabulary), TokenSpelling::kByteAlphabet, origin};
  return assemble(model_kind(fields, origin).read(model), vocabulary, origin,
                  {.pre_tokenizer = json_of(pre),
                   .post_processor = post,
                   .decoder = {{"type", "ByteLevel"},
                               {"add_prefix_space", true},
                               {"trim_offsets", true},
                               {"use_regex", true}}});
}

Vocabulary plain_vocabulary(std::vector<std::string> tokens, std::string_view origin) {
  std::vector<VocabularyEntry> entries;
  for (std::string& token : tokens)
    entries.push_back({static_cast<int32_t>(entries.size()), std::move(token), false});
  return Vocabulary(entries, origin);
}

// SentencePiece's byte-pair encoding, with spaces spelled "▁" and one put before a stretch.
Tokenizer sentencepiece_bpe(const GgufVocabulary& vocabulary, std::string_view origin) {
  require(vocabulary.scores.size() == vocabulary.tokens.size(), ErrorKind::kFormat, origin,
          "key 'tokenizer.ggml.scores' is missing, expected a score for each of {} tokens",
          vocabulary.tokens.size());
  const bool space_first = vocabulary.add_space_prefix.value_or(true);
  Json normalizers = Json::array();
  if (space_first) normalizers.push_back({{"type", "Prepend"}, {"prepend", kSpaceMark}});
  normalizers.push_back(replace_json(ReplaceBy::kString, " ", kSpaceMark));
  CharBpeOptions options;
  options.byte_fallback = true;
  options.unknown = vocabulary.unknown;
  // Every type of token may result.
  const std::vector<PieceRole> roles(vocabulary.tokens.size(), PieceRole::kNormal);
  auto model = std::make_unique<CharBpe>(CharBpe::by_score(
      plain_vocabulary(vocabulary.tokens, origin), vocabulary.scores, roles, options, origin));
  return assemble(std::move(model), vocabulary, origin,
                  {.normalizer = {{"type", "Sequence"}, {"normalizers", normalizers}},
                   .post_processor = post_processor(vocabulary, vocabulary.add_bos.value_or(true),
                                                    vocabulary.add_eos.value_or(false)),
                   .decoder = mark_decoder_json(true, space_first)});
}

// llama.cpp spells a token that begins a word "▁token" and one that continues it "token".
Tokenizer word_piece(const GgufVocabulary& vocabulary, std::string_view origin) {
  std::vector<std::string> tokens;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    const bool whole =
        is_gguf_added(vocabulary, id) || vocabulary.type(id) == GgufTokenType::kUnknown;
    const bool begins = token.starts_with(kSpaceMark);
    tokens.push_back(whole ? token : begins ? token.substr(kSpaceMark.size()) : "##" + token);
  }
  WordPieceOptions options;
  options.unknown = vocabulary.unknown;
  const bool lowercase = vocabulary.lowercase.value_or(true);
  GgufVocabulary around = vocabulary;  // [CLS] and [SEP] stand where others have BOS and EOS
  around.eos = vocabulary.separator;
  return assemble(
      std::make_unique<WordPiece>(plain_vocabulary(std::move(tokens), origin), options), vocabulary,
      origin,
      {.normalizer = bert_normalizer_json(lowercase, vocabulary.strip_accents.value_or(lowercase)),
       .pre_tokenizer = {{"type", "BertPreTokenizer"}},
       .post_processor = post_processor(around, true, true),
       .decoder = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}});
}

// SentencePiece's Unigram model.
Tokenizer unigram(const GgufVocabulary& vocabulary, std::string_view origin) {
  require(vocabulary.scores.size() == vocabulary.tokens.size(), ErrorKind::kFormat, origin,
          "key 'tokenizer.ggml.scores' is missing, expected a score for each of {} tokens",
          vocabulary.tokens.size());
  SentencePieceFile file;
  file.normalizer.precompiled_charsmap = vocabulary.precompiled_charsmap;
  file.normalizer.add_dummy_prefix = vocabulary.add_space_prefix.value_or(false);
  file.normalizer.remove_extra_whitespaces = vocabulary.remove_extra_whitespaces.value_or(false);
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const GgufTokenType type = vocabulary.type(id);
    const bool known = type != GgufTokenType::kUndefined;
    file.pieces.push_back(
        {vocabulary.tokens[id], vocabulary.scores[id],
         known ? static_cast<SentencePieceFile::Type>(type) : SentencePieceFile::Type::kUnused});
  }
  const auto name = [&](std::optional<int32_t> id, std::string& text) {
    if (id) text = vocabulary.tokens[static_cast<size_t>(*id)];
  };
  name(vocabulary.unknown, file.unk_piece);
  name(vocabulary.bos, file.bos_piece);
  name(vocabulary.eos, file.eos_piece);
  name(vocabulary.padding, file.pad_piece);
  // Checked as a file of SentencePiece's own.
  return sentencepiece_tokenizer(read_sentencepiece(write_sentencepiece(file), origin), origin);
}

struct GgufModel {
  std::string_view name;  // of `tokenizer.ggml.model`
  std::string_view summary;
  Tokenizer (*make)(const GgufVocabulary&, std::string_view origin);
};

constexpr std::array kGgufModels = {
    GgufModel{"gpt2", "byte-level BPE", byte_level_bpe},
    GgufModel{"llama", "SentencePiece's BPE", sentencepiece_bpe},
    GgufModel{"bert", "WordPiece", word_piece},
    GgufModel{"t5", "SentencePiece's Unigram", unigram},
};

}  // namespace

Tokenizer gguf_tokenizer(const GgufVocabulary& vocabulary, std::string_view origin) {
  for (const GgufModel& model : kGgufModels)
    if (model.name == vocabulary.model) return model.make(vocabulary, origin);
  fail(ErrorKind::kFormat, origin,
       "key 'tokenizer.ggml.model': '{}' is not supported; supported are {}", vocabulary.model,
       join(names_of(kGgufModels), ", "));
}

}  // namespace lathe
