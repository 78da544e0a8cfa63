// The tokenizer of a model's folder for a GGUF file, with what the folder says beside it.

#include <algorithm>
#include <filesystem>

#include "lathe/base/error.h"
#include "lathe/io/mapped_file.h"
#include "lathe/text/format/chat_template_files.h"
#include "lathe/text/format/gguf_tokenizer_writer.h"
#include "lathe/text/format/json_fields.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using text_json::Json;

void read_special_tokens(const nlohmann::ordered_json& tokens, GgufVocabulary& v) {
  const std::pair<const char*, std::optional<int32_t>*> slots[] = {
      {"bos_token", &v.bos},     {"eos_token", &v.eos},       {"unk_token", &v.unknown},
      {"pad_token", &v.padding}, {"sep_token", &v.separator}, {"cls_token", &v.cls},
      {"mask_token", &v.mask},
  };
  for (const auto& [key, slot] : slots) {
    if (!tokens.contains(key)) continue;
    const auto at = std::ranges::find(v.tokens, tokens[key].get<std::string>());
    if (at != v.tokens.end()) *slot = static_cast<int32_t>(at - v.tokens.begin());
  }
}

void read_flags(const Json& config, GgufVocabulary& v) {
  for (const auto& [key, flag] :
       {std::pair{"add_bos_token", &v.add_bos}, {"add_eos_token", &v.add_eos}})
    if (const auto found = config.find(key); found != config.end() && found->is_boolean())
      *flag = found->get<bool>();
}

Json read_object(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return Json::object();
  Json json = text_json::parse(read_file(path), path.string());
  require(json.is_object(), ErrorKind::kFormat, path.string(), "is a {}, expected a JSON object",
          json.type_name());
  return json;
}

// The template without a name.
std::string usual_template(const ChatTemplateFiles& files) {
  for (const auto& [name, text] : files.templates)
    if (name == "default") return text;
  return "";
}

void fill_up(GgufVocabulary& v, int64_t rows) {
  for (auto id = std::ssize(v.tokens); id < rows; ++id) {
    v.tokens.push_back(fmt::format("[PAD{}]", id));
    v.types.push_back(GgufTokenType::kUnused);
    if (!v.scores.empty()) v.scores.push_back(-10000.0f);
  }
}

}  // namespace

GgufVocabulary gguf_vocabulary_of_folder(const std::string& folder, int64_t rows,
                                         std::vector<std::string>* left_out) {
  const Json config = read_object(fs::path(folder) / "tokenizer_config.json");
  GgufVocabulary v =
      gguf_vocabulary_of(load_tokenizer(folder), {.left_out = left_out, .as_trained = true});
  require(std::ssize(v.tokens) <= rows, ErrorKind::kData, folder,
          "the tokenizer has {} ids, but the model's token table has only {} rows; they do not "
          "belong together",
          v.tokens.size(), rows);
  fill_up(v, rows);
  read_flags(config, v);
  const ChatTemplateFiles files = read_chat_template_files(folder);
  read_special_tokens(files.special_tokens, v);
  v.chat_template = usual_template(files);
  return v;
}

}  // namespace lathe
