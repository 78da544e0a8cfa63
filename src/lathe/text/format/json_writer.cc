// Tokenizer to tokenizer.json and tokenizer_config.json. Everything is written in the order of ids
// and ranks, so equal tokenizers give equal bytes.
#include <map>

#include "lathe/text/byte_alphabet.h"
#include "lathe/text/tokenizer.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using text_json::Json;
using OrderedJson = nlohmann::ordered_json;

std::string json_string(std::string_view text) { return Json(text).dump(); }

std::string spelling(const Vocabulary& vocabulary, int32_t id) {
  const std::string_view bytes = vocabulary.bytes(id);
  return vocabulary.is_literal(id) ? std::string(bytes) : to_byte_alphabet(bytes);
}

// Added tokens without a place in the vocabulary are numbered behind it by whoever reads the file,
// whatever ids stand there. Where that would give other ids, they are listed in the vocabulary,
// too.
std::map<int32_t, std::string> listed_in_vocabulary(const TokenizerData& data) {
  const Vocabulary& vocabulary = data.model.vocabulary();
  std::map<int32_t, std::string> own;
  for (const AddedToken& t : data.added)
    if (!vocabulary.has(t.id)) own[t.id] = t.content;
  int32_t next = 0;
  for (int32_t id = 0; id < vocabulary.size(); ++id) next += vocabulary.has(id) ? 1 : 0;
  const bool follow =
      std::all_of(own.begin(), own.end(), [&](const auto& token) { return token.first == next++; });
  return follow ? std::map<int32_t, std::string>() : own;
}

void write_model(const TokenizerData& data, std::string& out) {
  const BpeModel& model = data.model;
  const Vocabulary& vocabulary = model.vocabulary();
  const BpeOptions& options = model.options();
  out += "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": ";
  out += options.unknown ? json_string(spelling(vocabulary, *options.unknown)) : "null";
  out += ",\n    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n";
  out += fmt::format(
      "    \"fuse_unk\": {},\n    \"byte_fallback\": false,\n    \"ignore_merges\": {},\n",
      options.fuse_unknown, options.ignore_merges);
  out += "    \"vocab\": {";
  const char* separator = "\n";
  const auto listed = listed_in_vocabulary(data);
  for (int32_t id = 0; id < data.vocab_size; ++id) {
    const auto added = listed.find(id);
    if (!vocabulary.has(id) && added == listed.end()) continue;
    const std::string text = added == listed.end() ? spelling(vocabulary, id) : added->second;
    out += fmt::format("{}      {}: {}", separator, json_string(text), id);
    separator = ",\n";
  }
  out += "\n    },\n    \"merges\": [";
  separator = "\n";
  for (const Merge& m : model.merges()) {
    const std::string left = spelling(vocabulary, m.left), right = spelling(vocabulary, m.right);
    out += fmt::format("{}      {}", separator, json_string(left + " " + right));
    separator = ",\n";
  }
  out += "\n    ]\n  }\n";
}

}  // namespace

std::string Tokenizer::to_json() const {
  std::string out = "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n";
  out += "  \"added_tokens\": [";
  const char* separator = "\n";
  for (const AddedToken& t : data_->added) {
    const OrderedJson token = {
        {"id", t.id},          {"content", t.content}, {"single_word", t.single_word},
        {"lstrip", t.lstrip},  {"rstrip", t.rstrip},   {"normalized", t.normalized},
        {"special", t.special}};
    out += fmt::format("{}    {}", separator, token.dump());
    separator = ",\n";
  }
  out += data_->added.empty() ? "],\n" : "\n  ],\n";
  const TokenizerParts& parts = data_->parts;
  out += fmt::format("  \"normalizer\": {},\n", parts.normalizer.dump());
  out += fmt::format("  \"pre_tokenizer\": {},\n", parts.pre_tokenizer.dump());
  out += fmt::format("  \"post_processor\": {},\n", parts.post_processor.dump());
  out += fmt::format("  \"decoder\": {},\n", parts.decoder.dump());
  write_model(*data_, out);
  out += "}\n";
  return out;
}

std::string Tokenizer::config_json(const TokenizerConfig& config) const {
  OrderedJson json;
  OrderedJson decoder = OrderedJson::object();
  for (const AddedToken& t : data_->added) {
    decoder[std::to_string(t.id)] = {{"content", t.content},         {"lstrip", t.lstrip},
                                     {"normalized", t.normalized},   {"rstrip", t.rstrip},
                                     {"single_word", t.single_word}, {"special", t.special}};
  }
  json["added_tokens_decoder"] = decoder;
  const auto name = [&](const char* key, const std::string& token) {
    if (token.empty()) return;
    const bool added = std::any_of(data_->added.begin(), data_->added.end(),
                                   [&](const AddedToken& t) { return t.content == token; });
    require(added, ErrorKind::kConfig, "tokenizer",
            "{} '{}' is not one of the special tokens; add it to them", key, token);
    json[key] = token;
  };
  name("bos_token", config.bos);
  name("eos_token", config.eos);
  name("pad_token", config.pad);
  name("unk_token", config.unk);
  json["clean_up_tokenization_spaces"] = false;
  if (config.model_max_length > 0) json["model_max_length"] = config.model_max_length;
  json["tokenizer_class"] = "PreTrainedTokenizerFast";
  return json.dump(2) + "\n";
}

}  // namespace lathe
