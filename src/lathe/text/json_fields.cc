#include "lathe/text/json_fields.h"

namespace lathe::text_json {

Json parse(std::string_view text, std::string_view origin) {
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& e) {
    bad(origin, "not valid JSON: {}", e.what());
  }
}

}  // namespace lathe::text_json
