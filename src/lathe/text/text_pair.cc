#include "lathe/text/text_pair.h"

#include <algorithm>

#include "lathe/text/format/json_fields.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {

using text_json::Json;

// Reads the parts of a post-processor.
struct PairEncoder::Template {
  static constexpr std::string_view kOrigin = "post_processor";
  std::vector<Part> parts = {};

  static int32_t id_in(const Json& post, const char* key) {
    const Json& pair = text_json::get_array(post, key, kOrigin);
    if (pair.size() != 2) text_json::bad(kOrigin, "'{}' is no [token, id] pair", key);
    return text_json::get_id(pair[1], key, kOrigin);
  }

  static int32_t type_in(const Json& item) {
    return static_cast<int32_t>(
        std::min(text_json::get_size(item, "type_id", kOrigin), size_t{INT32_MAX}));
  }

  void add_item(const Json& item, const Json& known) {
    if (!item.is_object()) text_json::bad(kOrigin, "an item of 'pair' is no object");
    if (const Json* text = text_json::find(item, "Sequence"); text != nullptr) {
      const std::string name = text_json::get_string(*text, "id", kOrigin);
      if (name != "A" && name != "B")
        text_json::bad(kOrigin, "'pair' has the text '{}', expected A or B", name);
      return parts.push_back({.text = name == "B", .type = type_in(*text)});
    }
    const Json& token = text_json::get(item, "SpecialToken", kOrigin);
    const std::string name = text_json::get_string(token, "id", kOrigin);
    const Json* found = known.is_object() ? text_json::find(known, name.c_str()) : nullptr;
    if (found == nullptr)
      text_json::bad(kOrigin, "'{}' of 'pair' is not among special_tokens", name);
    Part part{.type = type_in(token)};
    for (const Json& id : text_json::get_array(*found, "ids", kOrigin))
      part.ids.push_back(text_json::get_id(id, name, kOrigin));
    parts.push_back(std::move(part));
  }

  // What a component does, in its place among others: the last that puts texts together has the say.
  void read(const Json& post, int depth = 0) {
    text_json::check_depth(depth, kOrigin, kOrigin);
    const std::string type = text_json::type_of(post, kOrigin, kOrigin);
    if (type == "Sequence") {
      for (const Json& one : text_json::get_array(post, "processors", kOrigin))
        read(one, depth + 1);
    } else if (type == "TemplateProcessing") {
      parts.clear();
      for (const Json& item : text_json::get_array(post, "pair", kOrigin))
        add_item(item, text_json::get(post, "special_tokens", kOrigin));
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      const std::vector cls = {id_in(post, "cls")}, sep = {id_in(post, "sep")};
      const bool bert = type == "BertProcessing";
      parts = {{.ids = cls}, {.text = 0}, {.ids = sep}};
      if (!bert) parts.push_back({.ids = sep});
      parts.push_back({.text = 1, .type = bert});
      parts.push_back({.ids = sep, .type = bert});
    }
  }
};

PairEncoder::PairEncoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {
  Template pair{.parts = {{.text = 0}, {.text = 1, .type = 1}}};
  const Json& post = tokenizer.data().parts.post_processor;
  if (!post.is_null()) pair.read(post);
  for (const int text : {0, 1})
    if (std::ranges::count(pair.parts, text, &Part::text) != 1)
      text_json::bad(Template::kOrigin, "'pair' must have each of the texts A and B once");
  parts_ = std::move(pair.parts);
}

TextPair PairEncoder::encode(std::string_view first, std::string_view second) const {
  TextPair out;
  for (const Part& part : parts_) {
    const std::vector<int32_t> ids =
        part.text < 0 ? part.ids : tokenizer_.encode(part.text == 0 ? first : second);
    out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    out.types.insert(out.types.end(), ids.size(), part.type);
  }
  return out;
}

}  // namespace lathe
