// The post-processor of a tokenizer.json, and what a decoder means to a byte-level vocabulary.
#include <algorithm>

#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using text_json::Json;

// The id in ["</s>", 2].
int32_t id_of_pair(const Json& pair, std::string_view origin) {
  if (!pair.is_array() || pair.size() != 2)
    text_json::bad(origin, "post_processor: expected a [token, id] pair");
  return text_json::get_id(pair[1], "a post-processor's token", origin);
}

void read_template(const Json& post, std::string_view origin, std::vector<int32_t>& prefix,
                   std::vector<int32_t>& suffix) {
  const Json& known = text_json::get(post, "special_tokens", origin);
  bool behind = false;
  std::vector<int32_t> before;
  for (const Json& item : text_json::get_array(post, "single", origin)) {
    if (item.is_object() && item.contains("Sequence")) {
      behind = true;
      continue;
    }
    if (!item.is_object() || !item.contains("SpecialToken") || !item["SpecialToken"].is_object())
      text_json::bad(origin,
                     "post_processor: an item of 'single' is neither Sequence nor SpecialToken");
    const std::string name = text_json::get_string(item["SpecialToken"], "id", origin);
    const Json* token = known.is_object() ? text_json::find(known, name.c_str()) : nullptr;
    if (token == nullptr || !token->is_object())
      text_json::bad(origin, "post_processor: '{}' is not among its special_tokens", name);
    for (const Json& id : text_json::get_array(*token, "ids", origin))
      (behind ? suffix : before).push_back(text_json::get_id(id, name, origin));
  }
  prefix.insert(prefix.begin(), before.begin(), before.end());
}

void read_post(const Json& post, int depth, std::string_view origin, std::vector<int32_t>& prefix,
               std::vector<int32_t>& suffix) {
  text_json::check_depth(depth, "post_processor", origin);
  const std::string type = text_json::type_of(post, "post_processor", origin);
  if (type == "Sequence") {
    for (const Json& part : text_json::get_array(post, "processors", origin))
      read_post(part, depth + 1, origin, prefix, suffix);
  } else if (type == "TemplateProcessing") {
    read_template(post, origin, prefix, suffix);
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    prefix.insert(prefix.begin(), id_of_pair(text_json::get(post, "cls", origin), origin));
    suffix.push_back(id_of_pair(text_json::get(post, "sep", origin), origin));
  } else if (type != "ByteLevel") {  // ByteLevel changes offsets only
    text_json::bad(origin,
                   "post_processor '{}' is not supported; supported are TemplateProcessing, "
                   "RobertaProcessing, BertProcessing, ByteLevel, Sequence",
                   type);
  }
}

}  // namespace

bool joins_bytes(const Json& decoder) {
  if (decoder.is_null()) return true;
  const std::string type = text_json::type_of(decoder, "decoder", "");
  if (type != "Sequence") return type == "ByteLevel" || type == "Fuse";
  const Json& parts = text_json::get_array(decoder, "decoders", "");
  return std::all_of(parts.begin(), parts.end(), joins_bytes);
}

void read_post_processor(const Json& post, std::string_view origin, std::vector<int32_t>& prefix,
                         std::vector<int32_t>& suffix) {
  if (!post.is_null()) read_post(post, 0, origin, prefix, suffix);
}

}  // namespace lathe
