#include "lathe/cli/commands/model/new_tokenizer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/io/json_file.h"
#include "lathe/io/model_files.h"
#include "lathe/text/prune_tokenizer.h"
#include "lathe/text/token_sources.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kConfigFile = "tokenizer_config.json";
constexpr const char* kTemplate = "chat_template";

Tokenizer tokenizer_of(const fs::path& model) {
  require(has_tokenizer(model.string()), ErrorKind::kConfig, model.string(),
          "has no tokenizer, which says what the rows of the model mean; put the one that it was "
          "trained with into the folder");
  return load_tokenizer(model.string());
}

fs::path id_map_of(const fs::path& tokenizer) {
  return (fs::is_directory(tokenizer) ? tokenizer : tokenizer.parent_path()) / kIdMapFile;
}

std::vector<int32_t> read_id_map(const fs::path& path) {
  const Json json = read_json_file(path);
  const auto is_id = [](const Json& id) {
    return id.is_number_unsigned() && id.get<uint64_t>() <= INT32_MAX;
  };
  require(json.is_array() && std::ranges::all_of(json, is_id), ErrorKind::kFormat, path.string(),
          "expected a list of token ids, as `lathe tokenizer prune` writes it");
  return json.get<std::vector<int32_t>>();
}

TokenSources sources_between(const Tokenizer& old, const Tokenizer& fresh, const fs::path& map) {
  if (!fs::exists(map)) return sources_of_extended(old, fresh);
  return sources_of_pruned(old, fresh, read_id_map(map));
}

// Gives the ids of tokens in a JSON file of a model their new numbers.
class Renumbering {
 public:
  Renumbering(const TokenSources& sources, int64_t old_tokens, std::string file)
      : ids_(new_ids_of(sources)), old_tokens_(old_tokens), file_(std::move(file)) {}

  void apply(Json& config) const {
    if (!config.is_object()) return;
    for (auto& [key, value] : config.items()) {
      if (key.ends_with("_token_id") || key.ends_with("_token_ids")) renumber(key, value);
      if (key == "suppress_tokens" || key == "begin_suppress_tokens") drop_and_renumber(value);
      if (holds_ids_in_parts(key) && !value.empty() && changes())
        fail(ErrorKind::kConfig, file_,
             "{} holds ids of tokens, which cannot be renumbered; remove the key", key);
    }
  }

 private:
  static bool holds_ids_in_parts(std::string_view key) {
    return key == "bad_words_ids" || key == "force_words_ids" || key == "forced_decoder_ids" ||
           key == "sequence_bias";
  }
  bool changes() const {
    return std::ranges::any_of(ids_, [](const auto& id) { return id.first != id.second; });
  }
  // Ids that were no token's are often those of the family's usual tokenizer; they mean none.
  void renumber(const std::string& key, Json& value) const {
    if (value.is_array()) {
      std::erase_if(value.get_ref<Json::array_t&>(), [&](const Json& id) { return was_none(id); });
      for (Json& id : value) renumber(key, id);
    } else if (was_none(value)) {
      value = nullptr;
    } else if (is_id(value)) {
      const auto found = ids_.find(value.get<int64_t>());
      require(
          found != ids_.end(), ErrorKind::kConfig, file_,
          "{} is {}, which the new tokenizer has no token for; remove the key, or keep the token",
          key, value.dump());
      value = found->second;
    }
  }
  // A token that is gone cannot be written any more.
  void drop_and_renumber(Json& value) const {
    if (!value.is_array()) return;
    std::erase_if(value.get_ref<Json::array_t&>(),
                  [&](const Json& id) { return is_id(id) && !ids_.contains(id.get<int64_t>()); });
    renumber("suppress_tokens", value);
  }
  static bool is_id(const Json& value) {
    return value.is_number_integer() && value >= 0 && value <= INT32_MAX;
  }
  bool was_none(const Json& value) const {
    return value.is_number_integer() && !(is_id(value) && value < old_tokens_);
  }

  NewIds ids_;
  int64_t old_tokens_;
  std::string file_;
};

// What speaks of tokens by their text, and is as true as before.
bool outlasts_the_tokenizer(const std::string& name) {
  return name.starts_with(kTemplate) || name == "special_tokens_map.json";
}

Json object_of(const std::string& text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : Json::object();
}

// A template may also stand in tokenizer_config.json.
void keep_chat_template(const std::string& before, ModelFiles& files) {
  if (files.contains("chat_template.jinja") || files.contains("chat_template.json")) return;
  const Json old = object_of(before);
  Json fresh = object_of(files[kConfigFile]);
  if (!old.contains(kTemplate) || fresh.contains(kTemplate)) return;
  fresh[kTemplate] = old[kTemplate];
  files[kConfigFile] = json_file_text(fresh);
}

// The special ids in it are those of `config` already; others were carried over from the old folder.
void renumber_config(const Renumbering& renumbering, const ModelConfig& config, Json& json) {
  for (const auto& [key, member] : kSpecialIds)
    if (json.contains(key)) json[key] = nullptr;
  renumbering.apply(json);
  for (const auto& [key, member] : kSpecialIds)
    if (config.*member) json[key] = *(config.*member);
  if (!config.other_eos_token_ids.empty()) json["eos_token_id"] = config.eos_token_ids();
}

}  // namespace

NewTokenizer::NewTokenizer(const std::string& path, const fs::path& model)
    : path_(path),
      model_(model),
      old_(tokenizer_of(model)),
      fresh_(load_tokenizer(path)),
      sources_(sources_between(old_, fresh_, id_map_of(path_))) {}

void NewTokenizer::put_into(ModelFiles& files, const ModelConfig& config) const {
  const std::string before = files[kConfigFile];
  std::erase_if(files, [](const auto& file) {
    return model_file_kind(file.first) == ModelFileKind::kTokenizer &&
           !outlasts_the_tokenizer(file.first);
  });
  for (auto& [name, text] : tokenizer_files(path_)) files[name] = text;
  if (!files.contains(kConfigFile)) files[kConfigFile] = changed_config(model_.string(), fresh_);
  keep_chat_template(before, files);
  const auto change = [&](const char* name, auto&& f) {
    Json json = Json::parse(files[name]);
    f(Renumbering(sources_, known_tokens(), (model_ / name).string()), json);
    files[name] = json_file_text(json);
  };
  change("config.json",
         [&](const Renumbering& r, Json& json) { renumber_config(r, config, json); });
  // Unless it was made from the new configuration.
  if (fs::exists(model_ / "generation_config.json"))
    change("generation_config.json", [](const Renumbering& r, Json& json) { r.apply(json); });
}

}  // namespace lathe
