// tokenizer.json to Tokenizer.
#include <algorithm>
#include <set>
#include <utility>

#include "lathe/base/utf8.h"
#include "lathe/text/byte_alphabet.h"
#include "lathe/text/format/token_sections.h"
#include "lathe/text/tokenizer.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using text_json::bad;
using text_json::find;
using text_json::Json;

constexpr std::string_view kSupported =
    "supported is byte-level BPE (model BPE with a ByteLevel pre-tokeniser, as GPT-2, GPT-NeoX, "
    "Llama 3, Qwen 2, SmolLM and Falcon use)";

Json part(const Json& document, const char* key) {
  const Json* found = find(document, key);
  return found == nullptr ? Json() : *found;
}

void check_model(const Json& model, std::string_view origin) {
  if (!model.is_object()) bad(origin, "'model' is a {}, expected an object", model.type_name());
  // Old files leave the type out; the merges tell.
  std::string type = "BPE";
  if (find(model, "type") != nullptr) {
    type = text_json::get_string(model, "type", origin);
  } else if (!model.contains("merges")) {
    type = model.contains("unk_id") ? "Unigram" : "unnamed";
  }
  if (type != "BPE") bad(origin, "model type '{}' is not supported; {}", type, kSupported);
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json* value = find(model, key);
    if (value != nullptr && *value != "")
      bad(origin, "'{}' is {}, expected none; {}", key, value->dump(), kSupported);
  }
  const Json* dropout = find(model, "dropout");
  if (dropout != nullptr && *dropout != 0.0)
    bad(origin, "'dropout' is {}; set it to null: encoding is deterministic here", dropout->dump());
}

Vocabulary make_vocabulary(const TokenSections& sections, std::string_view origin) {
  std::vector<VocabularyEntry> entries;
  entries.reserve(sections.vocab.size());
  for (const auto& [text, id] : sections.vocab) {
    auto bytes = from_byte_alphabet(text);
    const bool literal = !bytes.has_value();
    if (literal && !is_valid_utf8(text)) bad(origin, "token {} is not valid UTF-8", id);
    entries.push_back({id, literal ? text : std::move(*bytes), literal});
  }
  return Vocabulary(entries, origin);
}

std::vector<Merge> make_merges(const TokenSections& sections, const Vocabulary& vocabulary,
                               std::string_view origin) {
  std::vector<Merge> merges;
  merges.reserve(sections.merges.size());
  for (const auto& [left, right] : sections.merges) {
    const auto token = [&, &l = left, &r = right](const std::string& text) {
      const auto bytes = from_byte_alphabet(text);
      const auto id = bytes ? vocabulary.find(*bytes) : vocabulary.find_literal(text);
      if (!id)
        bad(origin, "merge {} ('{}' '{}') names '{}', which is not in the vocabulary",
            merges.size(), l, r, text);
      return *id;
    };
    merges.push_back({token(left), token(right), token(left + right)});
  }
  return merges;
}

// An added token that is in the vocabulary has its id there; the others follow behind the
// vocabulary in their order, `first_free` being the first, whatever id the file gives them: so
// `tokenizers` does it, and those are the ids that a model was trained with.
std::vector<AddedToken> read_added_tokens(const Json& document, const Vocabulary& vocabulary,
                                          int32_t first_free, std::string_view origin) {
  std::vector<AddedToken> added;
  std::set<std::string> seen;
  if (find(document, "added_tokens") == nullptr) return added;
  for (const Json& item : text_json::get_array(document, "added_tokens", origin)) {
    if (!item.is_object())
      bad(origin, "an added token is a {}, expected an object", item.type_name());
    AddedToken token;
    token.content = text_json::get_string(item, "content", origin);
    token.id = text_json::get_id(text_json::get(item, "id", origin), token.content, origin);
    token.special = text_json::get_bool(item, "special", false, origin);
    token.single_word = text_json::get_bool(item, "single_word", false, origin);
    token.lstrip = text_json::get_bool(item, "lstrip", false, origin);
    token.rstrip = text_json::get_bool(item, "rstrip", false, origin);
    token.normalized = text_json::get_bool(item, "normalized", !token.special, origin);
    // Passed over there, too.
    if (token.content.empty() || !seen.insert(token.content).second) continue;
    const auto bytes = from_byte_alphabet(token.content);
    const auto own = bytes ? vocabulary.find(*bytes) : vocabulary.find_literal(token.content);
    if (own) {
      token.id = *own;
    } else {
      const int32_t listed = std::exchange(token.id, first_free++);
      if (token.id > Vocabulary::kMaxId)
        bad(origin, "added token '{}' gets id {}, expected at most {}", token.content, token.id,
            Vocabulary::kMaxId);
      if (vocabulary.has(token.id))
        bad(origin,
            "added token '{}' (id {} in the file) gets id {}, the next after {} others, but the "
            "vocabulary, whose ids have gaps, gives that to another token; number the vocabulary "
            "from 0 without gaps",
            token.content, listed, token.id, token.id);
    }
    added.push_back(std::move(token));
  }
  return added;
}

BpeOptions read_options(const Json& model, const Vocabulary& vocabulary, std::string_view origin) {
  BpeOptions options;
  options.ignore_merges = text_json::get_bool(model, "ignore_merges", false, origin);
  options.fuse_unknown = text_json::get_bool(model, "fuse_unk", false, origin);
  if (find(model, "unk_token") != nullptr) {
    const std::string unknown = text_json::get_string(model, "unk_token", origin);
    const auto bytes = from_byte_alphabet(unknown);
    options.unknown = bytes ? vocabulary.find(*bytes) : vocabulary.find_literal(unknown);
    if (!options.unknown && !unknown.empty())
      bad(origin, "unk_token '{}' is not in the vocabulary", unknown);
  }
  if (text_json::get_bool(model, "byte_fallback", false, origin)) {
    for (uint32_t b = 0; b < 256; ++b) {
      const char byte = static_cast<char>(b);
      if (!vocabulary.find({&byte, 1}))
        bad(origin, "byte_fallback with a vocabulary that lacks byte 0x{:02X}; {}", b, kSupported);
    }
  }
  return options;
}

}  // namespace

Tokenizer Tokenizer::from_json(std::string_view json, std::string_view origin) {
  std::optional<CutDocument> cut = cut_token_sections(json);
  const Json document = cut ? std::move(cut->rest) : text_json::parse(json, origin);
  if (!document.is_object())
    bad(origin, "the document is a {}, expected an object", document.type_name());
  const Json& model = text_json::get(document, "model", origin);
  check_model(model, origin);
  TokenizerParts parts{part(document, "normalizer"), part(document, "pre_tokenizer"),
                       part(document, "post_processor"), part(document, "decoder")};
  if (!PreTokenizer::from_json(parts.pre_tokenizer, origin).byte_level())
    bad(origin,
        "a BPE model whose pre_tokenizer has no ByteLevel (SentencePiece style) is not supported; "
        "{}",
        kSupported);
  const TokenSections sections = cut ? std::move(cut->sections) : token_sections(model, origin);
  Vocabulary vocabulary = make_vocabulary(sections, origin);
  std::vector<Merge> merges = make_merges(sections, vocabulary, origin);
  std::vector<AddedToken> added =
      read_added_tokens(document, vocabulary, static_cast<int32_t>(sections.vocab.size()), origin);
  const BpeOptions options = read_options(model, vocabulary, origin);
  return Tokenizer(std::make_unique<const TokenizerData>(
      BpeModel(std::move(vocabulary), std::move(merges), options), std::move(added),
      std::move(parts), origin));
}

}  // namespace lathe
