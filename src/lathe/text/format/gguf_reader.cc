#include "lathe/text/format/gguf_reader.h"

#include <unordered_set>

#include "lathe/text/format/gguf_pre_tokenizers.h"
#include "lathe/text/format/model_kinds.h"
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
  Json single = Json::array(), tokens = Json::object();
  const auto put = [&](bool wanted, std::optional<int32_t> id) {
    if (!wanted || !id) return;
    const std::string& text = vocabulary.tokens[static_cast<size_t>(*id)];
    single.push_back({{"SpecialToken", {{"id", text}, {"type_id", 0}}}});
    tokens[text] = {{"id", text}, {"ids", {*id}}, {"tokens", {text}}};
  };
  put(add_bos, vocabulary.bos);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  put(add_eos, vocabulary.eos);
  if (tokens.empty()) return {};
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", Json::array()},
          {"special_tokens", tokens}};
}

Tokenizer assemble(std::unique_ptr<const TokenModel> model, const GgufVocabulary& vocabulary,
                   std::string_view origin, TokenizerParts parts) {
  return Tokenizer(std::make_unique<const TokenizerData>(std::move(model), added_tokens(vocabulary),
                                                         std::move(parts), origin));
}

Tokenizer byte_level_bpe(const GgufVocabulary& vocabulary, std::string_view origin) {
  const GgufPreTokenizer& pre = find_gguf_pre_tokenizer(vocabulary.pre, origin);
  require(pre.byte_level, ErrorKind::kFormat, origin,
          "key 'tokenizer.ggml.pre': '{}' is BPE on characters, which is not supported for GGUF; "
          "supported is byte-level BPE",
          pre.name);
  const Json post = post_processor(vocabulary, vocabulary.add_bos.value_or(pre.add_bos),
                                   vocabulary.add_eos.value_or(false));
  const Json fields = {{"type", "BPE"},
                       {"ignore_merges", pre.ignore_merges},
                       {"vocab", Json::object()},
                       {"merges", Json::array()}};
  ModelJson model{fields, sections_of(vocabulary), Spelling::kByteAlphabet, origin};
  return assemble(
      model_kind(fields, origin).read(model), vocabulary, origin,
      {.pre_tokenizer = json_of(pre), .post_processor = post, .decoder = {{"type", "ByteLevel"}}});
}

}  // namespace

Tokenizer gguf_tokenizer(const GgufVocabulary& vocabulary, std::string_view origin) {
  require(vocabulary.model == "gpt2", ErrorKind::kFormat, origin,
          "key 'tokenizer.ggml.model': '{}' is not supported; supported is gpt2", vocabulary.model);
  return byte_level_bpe(vocabulary, origin);
}

}  // namespace lathe
