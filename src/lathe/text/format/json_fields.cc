#include "lathe/text/format/json_fields.h"

#include <algorithm>

namespace lathe::text_json {

int depth_of(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

Json parse(std::string_view text, std::string_view origin) {
  if (depth_of(text) > kMaxDepth)
    bad(origin, "not valid JSON for a tokenizer: nested more than {} deep", kMaxDepth);
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& e) {
    bad(origin, "not valid JSON: {}", e.what());
  }
}

}  // namespace lathe::text_json
