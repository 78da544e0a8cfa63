#include "lathe/text/format/part_json.h"

#include "lathe/text/metaspace.h"

namespace lathe {

using text_json::Json;

Json replace_json(ReplaceBy kind, std::string_view pattern, std::string_view content) {
  const char* name = kind == ReplaceBy::kString ? "String" : "Regex";
  return {{"type", "Replace"}, {"pattern", {{name, pattern}}}, {"content", content}};
}

Json metaspace_json(std::string_view prepend_scheme) {
  return {{"type", "Metaspace"},
          {"replacement", kSpaceMark},
          {"prepend_scheme", prepend_scheme},
          {"split", true}};
}

Json mark_decoder_json(bool byte_fallback, bool space_first) {
  Json decoders = Json::array({replace_json(ReplaceBy::kString, kSpaceMark, " ")});
  if (byte_fallback) decoders.push_back({{"type", "ByteFallback"}});
  decoders.push_back({{"type", "Fuse"}});
  if (space_first)
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", decoders}};
}

Json bert_normalizer_json(bool lowercase, std::optional<bool> strip_accents) {
  return {{"type", "BertNormalizer"},
          {"clean_text", true},
          {"handle_chinese_chars", true},
          {"strip_accents", strip_accents ? Json(*strip_accents) : Json()},
          {"lowercase", lowercase}};
}

}  // namespace lathe
