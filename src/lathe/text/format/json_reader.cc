// tokenizer.json to Tokenizer.
#include "lathe/text/format/added_tokens_json.h"
#include "lathe/text/format/model_kinds.h"
#include "lathe/text/tokenizer.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using text_json::bad;
using text_json::find;
using text_json::Json;

Json part(const Json& document, const char* key) {
  const Json* found = find(document, key);
  return found == nullptr ? Json() : *found;
}

}  // namespace

Tokenizer Tokenizer::from_json(std::string_view json, std::string_view origin) {
  std::optional<CutDocument> cut = cut_token_sections(json);
  const Json document = cut ? std::move(cut->rest) : text_json::parse(json, origin);
  if (!document.is_object())
    bad(origin, "the document is a {}, expected an object", document.type_name());
  const Json& model = text_json::get(document, "model", origin);
  if (!model.is_object()) bad(origin, "'model' is a {}, expected an object", model.type_name());
  const ModelKind& kind = model_kind(model, origin);
  TokenizerParts parts{part(document, "normalizer"), part(document, "pre_tokenizer"),
                       part(document, "post_processor"), part(document, "decoder")};
  const bool byte_level = PreTokenizer::from_json(parts.pre_tokenizer, origin).byte_level();
  const TokenSpelling spelling = byte_level ? TokenSpelling::kByteAlphabet : TokenSpelling::kPlain;
  ModelJson model_json{model, cut ? std::move(cut->sections) : token_sections(model, origin),
                       spelling, origin};
  std::unique_ptr<const TokenModel> token_model = kind.read(model_json);
  std::vector<AddedToken> added =
      read_added_tokens(document, token_model->vocabulary(), spelling, origin);
  return Tokenizer(std::make_unique<const TokenizerData>(std::move(token_model), std::move(added),
                                                         std::move(parts), origin));
}

}  // namespace lathe
