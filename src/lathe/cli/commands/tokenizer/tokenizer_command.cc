#include <filesystem>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/io/json_file.h"

namespace lathe {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

void visit_pattern(Visitor& v, std::optional<std::string>& pattern) {
  v.choice("pattern", pattern, names_of(kPreTokenizers),
           "how to split text for a .tiktoken file (default: cl100k)");
}

Tokenizer load_tokenizer_of(const std::string& path, const std::optional<std::string>& pattern) {
  return load_tokenizer(path, pattern ? find_pattern(*pattern) : std::nullopt);
}

namespace {

// What stands beside the tokenizer at `path`; null where nothing does.
Json config_beside(const std::string& path) {
  std::error_code error;
  const fs::path folder =
      fs::is_directory(path, error) ? fs::path(path) : fs::path(path).parent_path();
  const fs::path beside = folder / "tokenizer_config.json";
  if (!fs::exists(beside, error)) return nullptr;
  Json config = read_json_file(beside);
  require(config.is_object(), ErrorKind::kFormat, beside.string(), "holds a {}, expected an object",
          config.type_name());
  return config;
}

// Names of tokens that are no longer there would be added again by those who read them.
void drop_unknown_tokens(Json& config, const Tokenizer& tokenizer) {
  const auto list = config.find("additional_special_tokens");
  if (list == config.end() || !list->is_array()) return;
  Json kept = Json::array();
  for (const Json& token : *list)
    if (!token.is_string() || tokenizer.id_of(token.get<std::string>())) kept.push_back(token);
  *list = std::move(kept);
}

}  // namespace

std::string changed_config(const std::string& path, const Tokenizer& tokenizer,
                           const std::optional<std::string>& chat_template) {
  constexpr const char* kTokens = "added_tokens_decoder";
  const Json own = Json::parse(tokenizer.config_json({}));
  Json config = config_beside(path);
  if (config.is_null()) config = own;
  config[kTokens] = own[kTokens];
  drop_unknown_tokens(config, tokenizer);
  if (chat_template) config["chat_template"] = *chat_template;
  return config.dump(2) + "\n";
}

void require_read_twice(const CorpusInput& input, std::string_view what_for) {
  std::error_code error;
  for (const fs::path& file : input.files())
    require(fs::is_regular_file(file, error), ErrorKind::kUsage, file.string(),
            "is read twice, {}, which only a file can be; write the text to one", what_for);
}

Command tokenizer_command() {
  return command_group(
      {.name = "tokenizer", .summary = "train and compare tokenizers, turn text into ids and back"},
      {tokenizer_train_command(), tokenizer_encode_command(), tokenizer_decode_command(),
       tokenizer_inspect_command(), tokenizer_compare_command(), tokenizer_convert_command(),
       tokenizer_extend_command(), tokenizer_prune_command(), tokenizer_template_command()});
}

}  // namespace lathe
