#include "lathe/text/format/model_kinds.h"

#include <algorithm>
#include <array>

#include "lathe/base/catalogue.h"
#include "lathe/base/strings.h"
#include "lathe/base/utf8.h"
#include "lathe/text/model/byte_bpe.h"
#include "lathe/text/model/char_bpe.h"
#include "lathe/text/model/unigram_model.h"
#include "lathe/text/model/word_level.h"
#include "lathe/text/model/word_piece.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using text_json::bad;
using text_json::find;
using text_json::get_bool;
using text_json::Json;

Vocabulary make_vocabulary(const ModelJson& json) {
  if (!json.fields["vocab"].is_object())
    bad(json.origin, "'vocab' is a {}, expected an object", json.fields["vocab"].type_name());
  std::vector<VocabularyEntry> entries;
  entries.reserve(json.sections.vocab.size());
  for (const auto& [text, id] : json.sections.vocab) {
    entries.push_back(entry_spelled(text, id, json.spelling));
    const bool as_written = entries.back().literal || json.spelling == TokenSpelling::kPlain;
    if (as_written && !is_valid_utf8(text)) bad(json.origin, "token {} is not valid UTF-8", id);
  }
  return Vocabulary(entries, json.origin);
}

// `joined(left, right)` is the spelling of what a merge makes.
template <class Joined>
std::vector<Merge> make_merges(const ModelJson& json, const Vocabulary& vocabulary,
                               Joined&& joined) {
  std::vector<Merge> merges;
  merges.reserve(json.sections.merges.size());
  for (const auto& [left, right] : json.sections.merges) {
    const auto token = [&, &l = left, &r = right](const std::string& text) {
      const auto id = find_spelled(vocabulary, text, json.spelling);
      if (!id)
        bad(json.origin, "merge {} ('{}' '{}') names '{}', which is not in the vocabulary",
            merges.size(), l, r, text);
      return *id;
    };
    merges.push_back({token(left), token(right), token(joined(left, right))});
  }
  return merges;
}

std::string string_or(const Json& fields, const char* key, std::string otherwise,
                      std::string_view origin) {
  return find(fields, key) ? text_json::get_string(fields, key, origin) : std::move(otherwise);
}

std::optional<int32_t> unknown_token(const ModelJson& json, const Vocabulary& vocabulary) {
  const std::string unknown = string_or(json.fields, "unk_token", "", json.origin);
  if (unknown.empty()) return std::nullopt;
  const auto id = find_spelled(vocabulary, unknown, json.spelling);
  if (!id) bad(json.origin, "unk_token '{}' is not in the vocabulary", unknown);
  return id;
}

void require_no_byte_level(const ModelJson& json, std::string_view type) {
  if (json.spelling == TokenSpelling::kByteAlphabet)
    bad(json.origin,
        "a {} model with a ByteLevel pre-tokeniser is not supported; ByteLevel goes with BPE",
        type);
}

std::unique_ptr<const TokenModel> read_byte_bpe(const ModelJson& json) {
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json* value = find(json.fields, key);
    if (value != nullptr && *value != "")
      bad(json.origin, "'{}' is {}, expected none with a ByteLevel pre-tokeniser", key,
          value->dump());
  }
  Vocabulary vocabulary = make_vocabulary(json);
  if (get_bool(json.fields, "byte_fallback", false, json.origin)) {
    for (uint32_t b = 0; b < 256; ++b) {
      const char byte = static_cast<char>(b);
      if (!vocabulary.find({&byte, 1}))
        bad(json.origin,
            "byte_fallback with a byte-level vocabulary that lacks byte 0x{:02X}; expected all 256",
            b);
    }
  }
  ByteBpeOptions options;
  options.ignore_merges = get_bool(json.fields, "ignore_merges", false, json.origin);
  options.fuse_unknown = get_bool(json.fields, "fuse_unk", false, json.origin);
  options.unknown = unknown_token(json, vocabulary);
  const auto joined = [](const std::string& left, const std::string& right) {
    return left + right;
  };
  std::vector<Merge> merges = make_merges(json, vocabulary, joined);
  return std::make_unique<ByteBpe>(std::move(vocabulary), std::move(merges), options);
}

std::unique_ptr<const TokenModel> read_char_bpe(const ModelJson& json) {
  CharBpeOptions options;
  options.ignore_merges = get_bool(json.fields, "ignore_merges", false, json.origin);
  options.fuse_unknown = get_bool(json.fields, "fuse_unk", false, json.origin);
  options.byte_fallback = get_bool(json.fields, "byte_fallback", false, json.origin);
  options.continuing_prefix = string_or(json.fields, "continuing_subword_prefix", "", json.origin);
  options.word_end = string_or(json.fields, "end_of_word_suffix", "", json.origin);
  Vocabulary vocabulary = make_vocabulary(json);
  options.unknown = unknown_token(json, vocabulary);
  const std::string& prefix = options.continuing_prefix;
  const auto joined = [&](const std::string& left, const std::string& right) {
    return left + (right.starts_with(prefix) ? right.substr(prefix.size()) : right);
  };
  std::vector<Merge> merges = make_merges(json, vocabulary, joined);
  return std::make_unique<CharBpe>(std::move(vocabulary), std::move(merges), options);
}

std::unique_ptr<const TokenModel> read_bpe(ModelJson& json) {
  const Json* dropout = find(json.fields, "dropout");
  if (dropout != nullptr && *dropout != 0.0)
    bad(json.origin,
        "'dropout' is {}; set it to null, and give --dropout where text is to be encoded so",
        dropout->dump());
  if (find(json.fields, "merges") == nullptr) bad(json.origin, "'merges' is missing");
  return json.spelling == TokenSpelling::kByteAlphabet ? read_byte_bpe(json) : read_char_bpe(json);
}

std::unique_ptr<const TokenModel> read_word_piece(ModelJson& json) {
  require_no_byte_level(json, "WordPiece");
  WordPieceOptions options;
  options.continuing_prefix =
      string_or(json.fields, "continuing_subword_prefix", "##", json.origin);
  if (const Json* most = find(json.fields, "max_input_chars_per_word"))
    options.longest_word = text_json::get_id(*most, "max_input_chars_per_word", json.origin);
  Vocabulary vocabulary = make_vocabulary(json);
  options.unknown = unknown_token(json, vocabulary);
  return std::make_unique<WordPiece>(std::move(vocabulary), options);
}

std::unique_ptr<const TokenModel> read_word_level(ModelJson& json) {
  require_no_byte_level(json, "WordLevel");
  Vocabulary vocabulary = make_vocabulary(json);
  const std::optional<int32_t> unknown = unknown_token(json, vocabulary);
  return std::make_unique<WordLevel>(std::move(vocabulary), unknown);
}

std::unique_ptr<const TokenModel> read_unigram(ModelJson& json) {
  require_no_byte_level(json, "Unigram");
  if (!json.fields["vocab"].is_array())
    bad(json.origin, "'vocab' is a {}, expected a list of pairs of a text and a score",
        json.fields["vocab"].type_name());
  std::vector<VocabularyEntry> entries;
  std::vector<UnigramPiece> pieces;
  for (const auto& [text, id] : json.sections.vocab) {
    entries.push_back({id, text, false});
    pieces.push_back({json.sections.scores[static_cast<size_t>(id)], UnigramPiece::Role::kNormal});
  }
  UnigramOptions options;
  options.byte_fallback = get_bool(json.fields, "byte_fallback", false, json.origin);
  if (const Json* unknown = find(json.fields, "unk_id"))
    options.unknown_id = text_json::get_id(*unknown, "unk_id", json.origin);
  return std::make_unique<UnigramModel>(Vocabulary(entries, json.origin), std::move(pieces),
                                        options, json.origin);
}

constexpr std::array kModelKinds = {
    ModelKind{"BPE", "byte-pair encoding, on bytes or on characters",
              "Sennrich et al. 2016, arXiv:1508.07909", read_bpe, write_bpe},
    ModelKind{"Unigram", "the most probable segmentation under a model of single pieces",
              "Kudo 2018, arXiv:1804.10959", read_unigram, write_unigram},
    ModelKind{"WordPiece", "the longest piece that begins the rest of the word, as in BERT",
              "Wu et al. 2016, arXiv:1609.08144", read_word_piece, write_word_piece},
    ModelKind{"WordLevel", "a token for each word", "", read_word_level, write_word_level},
};

// Old files leave the type out.
std::string type_of(const Json& model, std::string_view origin) {
  if (find(model, "type") != nullptr) return text_json::get_string(model, "type", origin);
  if (model.contains("merges")) return "BPE";
  if (model.contains("unk_id")) return "Unigram";
  return model.contains("continuing_subword_prefix") ? "WordPiece" : "WordLevel";
}

}  // namespace

std::span<const ModelKind> model_kinds() { return kModelKinds; }

const ModelKind& model_kind(const Json& model, std::string_view origin) {
  const std::string type = type_of(model, origin);
  for (const ModelKind& kind : kModelKinds)
    if (kind.name == type) return kind;
  bad(origin, "model type '{}' is not supported; supported are {}", type,
      join(names_of(kModelKinds), ", "));
}

std::string write_model(const TokenizerData& data) {
  return find_in(kModelKinds, "model", data.model->type()).write(data);
}

}  // namespace lathe
