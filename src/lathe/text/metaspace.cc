#include "lathe/text/metaspace.h"

namespace lathe {
namespace {

using Prepend = MetaspaceOptions::Prepend;

Prepend prepend_of(const text_json::Json& json, std::string_view origin) {
  const bool prefix = text_json::get_bool(json, "add_prefix_space", true, origin);
  if (text_json::find(json, "prepend_scheme") == nullptr)
    return prefix ? Prepend::kAlways : Prepend::kNever;
  const std::string scheme = text_json::get_string(json, "prepend_scheme", origin);
  if (!prefix && scheme != "never")
    text_json::bad(origin,
                   "Metaspace has add_prefix_space false and prepend_scheme '{}'; "
                   "expected 'never'",
                   scheme);
  if (scheme == "first") return Prepend::kFirst;
  if (scheme == "never") return Prepend::kNever;
  if (scheme == "always") return Prepend::kAlways;
  text_json::bad(origin, "prepend_scheme '{}' is unknown; expected first, never or always", scheme);
}

}  // namespace

MetaspaceOptions MetaspaceOptions::from_json(const text_json::Json& json, std::string_view origin) {
  return {text_json::get_character(json, "replacement", origin), prepend_of(json, origin),
          text_json::get_bool(json, "split", true, origin)};
}

}  // namespace lathe
