// The vocabulary of a GGUF file becomes a tokenizer.json, and that a Tokenizer.
#include "lathe/text/format/gguf_reader.h"

#include <unordered_set>

#include "lathe/text/format/gguf_pre_tokenizers.h"

namespace lathe {
namespace {

using text_json::Json;

// Appends the items, separated by commas; `write` appends one of them.
template <class Items, class Write>
void put_list(std::string& out, const Items& items, Write&& write) {
  const char* separator = "";
  for (const auto& item : items) {
    out += separator;
    write(item);
    separator = ",\n";
  }
}

std::string json_string(std::string_view text) { return Json(text).dump(); }

void put_vocab(std::string& out, const GgufVocabulary& vocabulary) {
  out += "\"vocab\": {";
  size_t id = 0;
  put_list(out, vocabulary.tokens, [&](const std::string& token) {
    out += fmt::format("{}: {}", json_string(token), id++);
  });
  out += "}";
}

// Of a merge listed twice the first counts for llama.cpp, the last for tokenizer.json.
void put_merges(std::string& out, const GgufVocabulary& vocabulary) {
  std::unordered_set<std::string_view> seen;
  std::vector<std::string_view> merges;
  for (const std::string& merge : vocabulary.merges)
    if (seen.insert(merge).second) merges.push_back(merge);
  out += "\"merges\": [";
  put_list(out, merges, [&](std::string_view merge) {
    const size_t space = merge.find(' ', 1);
    out += fmt::format("[{}, {}]", json_string(merge.substr(0, space)),
                       json_string(merge.substr(space + 1)));
  });
  out += "]";
}

Json added_tokens(const GgufVocabulary& vocabulary) {
  Json added = Json::array();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (!is_gguf_added(vocabulary, id)) continue;
    added.push_back({{"id", id},
                     {"content", vocabulary.tokens[id]},
                     {"special", vocabulary.type(id) != GgufTokenType::kUserDefined},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false}});
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

Tokenizer byte_level_bpe(const GgufVocabulary& vocabulary, std::string_view origin) {
  const GgufPreTokenizer& pre = find_gguf_pre_tokenizer(vocabulary.pre, origin);
  require(pre.byte_level, ErrorKind::kFormat, origin,
          "key 'tokenizer.ggml.pre': '{}' is BPE on characters, which is not supported for GGUF; "
          "supported is byte-level BPE",
          pre.name);
  const Json post = post_processor(vocabulary, vocabulary.add_bos.value_or(pre.add_bos),
                                   vocabulary.add_eos.value_or(false));
  std::string json = fmt::format(
      "{{\"version\": \"1.0\", \"added_tokens\": {}, \"normalizer\": null, \"pre_tokenizer\": {}, "
      "\"post_processor\": {}, \"decoder\": {{\"type\": \"ByteLevel\"}}, \"model\": {{\"type\": "
      "\"BPE\", \"ignore_merges\": {}, ",
      added_tokens(vocabulary).dump(), json_of(pre).dump(), post.dump(), pre.ignore_merges);
  put_vocab(json, vocabulary);
  json += ", ";
  put_merges(json, vocabulary);
  json += "}}";
  return Tokenizer::from_json(json, origin);
}

}  // namespace

Tokenizer gguf_tokenizer(const GgufVocabulary& vocabulary, std::string_view origin) {
  require(vocabulary.model == "gpt2", ErrorKind::kFormat, origin,
          "key 'tokenizer.ggml.model': '{}' is not supported; supported is gpt2", vocabulary.model);
  return byte_level_bpe(vocabulary, origin);
}

}  // namespace lathe
