#include "lathe/text/format/added_tokens_json.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

namespace lathe {

using text_json::bad;
using text_json::find;
using text_json::Json;

namespace {

AddedToken token_of(const Json& item, std::string_view origin) {
  if (!item.is_object())
    bad(origin, "an added token is a {}, expected an object", item.type_name());
  AddedToken token;
  token.content = text_json::get_string(item, "content", origin);
  token.special = text_json::get_bool(item, "special", false, origin);
  token.single_word = text_json::get_bool(item, "single_word", false, origin);
  token.lstrip = text_json::get_bool(item, "lstrip", false, origin);
  token.rstrip = text_json::get_bool(item, "rstrip", false, origin);
  token.normalized = text_json::get_bool(item, "normalized", !token.special, origin);
  return token;
}

void require_small_id(const AddedToken& token, std::string_view origin) {
  if (token.id < 0 || token.id > Vocabulary::kMaxId)
    bad(origin, "added token '{}' has id {}, expected at most {}", token.content, token.id,
        Vocabulary::kMaxId);
}

}  // namespace

std::vector<AddedToken> listed_added_tokens(const Json& document, std::string_view origin) {
  std::vector<AddedToken> added;
  std::set<std::string> seen;
  if (find(document, "added_tokens") == nullptr) return added;
  for (const Json& item : text_json::get_array(document, "added_tokens", origin)) {
    AddedToken token = token_of(item, origin);
    token.id = text_json::get_id(text_json::get(item, "id", origin), token.content, origin);
    require_small_id(token, origin);
    // Passed over there, too.
    if (token.content.empty() || !seen.insert(token.content).second) continue;
    added.push_back(std::move(token));
  }
  return added;
}

std::vector<AddedToken> added_tokens_of_config(const Json& config, std::string_view origin) {
  std::vector<AddedToken> added;
  const Json* decoder = find(config, "added_tokens_decoder");
  if (decoder == nullptr) return added;
  if (!decoder->is_object())
    bad(origin, "'added_tokens_decoder' is a {}, expected an object", decoder->type_name());
  for (const auto& [key, item] : decoder->items()) {
    AddedToken& token = added.emplace_back(token_of(item, origin));
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token.id);
    if (error != std::errc() || end != key.data() + key.size())
      bad(origin, "'added_tokens_decoder' has the key '{}', expected a token's id", key);
    require_small_id(token, origin);
    if (token.content.empty()) bad(origin, "added token {} is empty, expected text", token.id);
  }
  std::ranges::sort(added, {}, &AddedToken::id);
  return added;
}

std::vector<AddedToken> read_added_tokens(const Json& document, const Vocabulary& vocabulary,
                                          TokenSpelling spelling, std::string_view origin) {
  std::vector<AddedToken> added = listed_added_tokens(document, origin);
  int32_t first_free = vocabulary.count();
  for (AddedToken& token : added) {
    if (const auto own = find_spelled(vocabulary, token.content, spelling)) {
      token.id = *own;
      continue;
    }
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
  return added;
}

std::string added_tokens_text(const std::vector<AddedToken>& added) {
  if (added.empty()) return "[]";
  std::string out = "[";
  const char* separator = "\n";
  for (const AddedToken& t : added) {
    const nlohmann::ordered_json token = {
        {"id", t.id},          {"content", t.content}, {"single_word", t.single_word},
        {"lstrip", t.lstrip},  {"rstrip", t.rstrip},   {"normalized", t.normalized && !t.verbatim},
        {"special", t.special}};
    out += fmt::format("{}    {}", separator, token.dump());
    separator = ",\n";
  }
  return out + "\n  ]";
}

}  // namespace lathe
