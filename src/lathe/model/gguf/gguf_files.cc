#include "lathe/model/gguf/gguf_files.h"

#include <algorithm>

#include "lathe/io/gguf.h"
#include "lathe/text/format/gguf_reader.h"
#include "lathe/text/tokenizer.h"

namespace lathe {
namespace {

// The text of a special token, if transformers can find it: only added tokens are.
std::string special_text(const Tokenizer& tokenizer, const std::optional<int32_t>& id) {
  for (const AddedToken& token : tokenizer.added_tokens())
    if (id == token.id) return token.content;
  return "";
}

}  // namespace

std::map<std::string, std::string> tokenizer_files_of_gguf(const std::filesystem::path& path) {
  const GgufReader file(path);
  if (file.metadata().find("tokenizer.ggml.model") == nullptr) return {};
  const GgufVocabulary v = read_gguf_vocabulary(file.metadata());
  const Tokenizer tokenizer = gguf_tokenizer(v, path.string());
  std::map<std::string, std::string> files;
  files["tokenizer.json"] = tokenizer.to_json();
  files["tokenizer_config.json"] =
      tokenizer.config_json({.bos = special_text(tokenizer, v.bos),
                             .eos = special_text(tokenizer, v.eos),
                             .pad = special_text(tokenizer, v.padding),
                             .unk = special_text(tokenizer, v.unknown)});
  if (!v.chat_template.empty()) files["chat_template.jinja"] = v.chat_template;
  return files;
}

}  // namespace lathe
