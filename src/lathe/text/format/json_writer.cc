// Tokenizer to tokenizer.json and tokenizer_config.json. Everything is written in the order of ids
// and ranks, so equal tokenizers give equal bytes.
#include <algorithm>

#include "lathe/text/format/added_tokens_json.h"
#include "lathe/text/format/model_kinds.h"
#include "lathe/text/format/sentencepiece_json.h"
#include "lathe/text/tokenizer.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
using OrderedJson = nlohmann::ordered_json;

std::string Tokenizer::to_json() const {
  std::string out = "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n";
  out += fmt::format("  \"added_tokens\": {},\n", added_tokens_text(data_->added));
  const TokenizerParts parts = json_parts_of(*data_);
  out += fmt::format("  \"normalizer\": {},\n", parts.normalizer.dump());
  out += fmt::format("  \"pre_tokenizer\": {},\n", parts.pre_tokenizer.dump());
  out += fmt::format("  \"post_processor\": {},\n", parts.post_processor.dump());
  out += fmt::format("  \"decoder\": {},\n", parts.decoder.dump());
  out += fmt::format("  \"model\": {}\n", write_model(*data_));
  out += "}\n";
  return out;
}

std::string Tokenizer::config_json(const TokenizerConfig& config) const {
  OrderedJson json;
  OrderedJson decoder = OrderedJson::object();
  for (const AddedToken& t : data_->added) {
    decoder[std::to_string(t.id)] = {{"content", t.content},
                                     {"lstrip", t.lstrip},
                                     {"normalized", t.normalized && !t.verbatim},
                                     {"rstrip", t.rstrip},
                                     {"single_word", t.single_word},
                                     {"special", t.special}};
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
