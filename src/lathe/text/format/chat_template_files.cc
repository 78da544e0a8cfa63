#include "lathe/text/format/chat_template_files.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "lathe/base/error.h"
#include "lathe/io/gguf.h"
#include "lathe/io/json_file.h"
#include "lathe/io/mapped_file.h"
#include "lathe/text/format/gguf_vocabulary.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
constexpr std::array kTokenNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                                    "pad_token", "cls_token", "mask_token"};

Json object_in(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return Json::object();
  Json json = read_json_file(path);
  require(json.is_object(), ErrorKind::kFormat, path.string(), "holds a {}, expected an object",
          json.type_name());
  return json;
}

// A token is a text or an object with `content`.
void add_tokens_of(const Json& file, Json& tokens) {
  for (const char* name : kTokenNames) {
    if (!file.contains(name) || tokens.contains(name)) continue;
    const Json& token = file[name];
    const Json& text = token.is_object() && token.contains("content") ? token["content"] : token;
    if (text.is_string()) tokens[name] = text;
  }
}

// "chat_template" of tokenizer_config.json: a text, or a list of objects with `name` and `template`.
void add_templates_of_config(const Json& config, const std::string& where, ChatTemplateFiles& out) {
  if (!config.contains("chat_template") || config["chat_template"].is_null()) return;
  const Json& given = config["chat_template"];
  if (given.is_string()) return out.templates.emplace_back("default", given), void();
  require(given.is_array(), ErrorKind::kFormat, where,
          "`chat_template` is a {}, expected a text or a list of named templates",
          given.type_name());
  for (const Json& one : given) {
    const bool fits = one.is_object() && one.value("name", Json()).is_string() &&
                      one.value("template", Json()).is_string();
    require(fits, ErrorKind::kFormat, where,
            "an entry of `chat_template` is not an object with the texts `name` and `template`");
    out.templates.emplace_back(one["name"], one["template"]);
  }
}

void add_template_files(const fs::path& folder, ChatTemplateFiles& out) {
  std::error_code error;
  if (const fs::path main = folder / "chat_template.jinja"; fs::exists(main, error))
    out.templates.emplace_back("default", read_file(main.string()));
  std::vector<fs::path> more;
  for (fs::directory_iterator it(folder / "additional_chat_templates", error), end;
       !error && it != end; it.increment(error))
    if (it->path().extension() == ".jinja") more.push_back(it->path());
  std::ranges::sort(more);
  for (const fs::path& path : more)
    out.templates.emplace_back(path.stem().string(), read_file(path.string()));
}

ChatTemplateFiles files_of_folder(const fs::path& folder) {
  ChatTemplateFiles out;
  const fs::path config_path = folder / "tokenizer_config.json";
  const Json config = object_in(config_path);
  out.special_tokens = Json::object();
  add_tokens_of(config, out.special_tokens);
  add_tokens_of(object_in(folder / "special_tokens_map.json"), out.special_tokens);
  add_template_files(folder, out);
  if (out.templates.empty()) add_templates_of_config(config, config_path.string(), out);
  return out;
}

ChatTemplateFiles files_of_gguf(const fs::path& path) {
  const GgufReader reader(path);
  const GgufVocabulary v = read_gguf_vocabulary(reader.metadata());
  ChatTemplateFiles out;
  out.special_tokens = Json::object();
  const std::array ids = {v.bos, v.eos, v.unknown, v.separator, v.padding, v.cls, v.mask};
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i]) out.special_tokens[kTokenNames[i]] = v.tokens[static_cast<size_t>(*ids[i])];
  if (!v.chat_template.empty()) out.templates.emplace_back("default", v.chat_template);
  return out;
}

bool is_gguf_file(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;
  return is_gguf(MappedFile(path).bytes());
}

// The only GGUF file of a folder that has no other tokenizer; empty if there is none.
fs::path gguf_in(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder / "tokenizer.json", error) ||
      fs::exists(folder / "tokenizer_config.json", error))
    return {};
  std::vector<fs::path> found;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".gguf") found.push_back(it->path());
  return found.size() == 1 ? found[0] : fs::path();
}

}  // namespace

ChatTemplateFiles read_chat_template_files(const std::string& tokenizer_path) {
  const fs::path path = tokenizer_path;
  std::error_code ignored;
  const bool is_folder = fs::is_directory(path, ignored);
  if (is_gguf_file(path)) return files_of_gguf(path);
  const fs::path folder = is_folder ? path : path.parent_path();
  if (const fs::path gguf = is_folder ? gguf_in(folder) : fs::path(); !gguf.empty())
    return files_of_gguf(gguf);
  return files_of_folder(folder);
}

}  // namespace lathe
