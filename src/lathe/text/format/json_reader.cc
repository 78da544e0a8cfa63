// tokenizer.json to Tokenizer.
#include <algorithm>
#include <set>
#include <utility>

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

// An added token that is in the vocabulary has its id there; the others follow behind the
// vocabulary in their order, `first_free` being the first, whatever id the file gives them: so
// `tokenizers` does it, and those are the ids that a model was trained with.
std::vector<AddedToken> read_added_tokens(const Json& document, const Vocabulary& vocabulary,
                                          Spelling spelling, std::string_view origin) {
  int32_t first_free = vocabulary.count();
  std::vector<AddedToken> added;
  std::set<std::string> seen;
  if (find(document, "added_tokens") == nullptr) return added;
  for (const Json& item : text_json::get_array(document, "added_tokens", origin)) {
    if (!item.is_object())
      bad(origin, "an added token is a {}, expected an object", item.type_name());
    AddedToken token;
    token.content = text_json::get_string(item, "content", origin);
    token.id = text_json::get_id(text_json::get(item, "id", origin), token.content, origin);
    token.special = text_json::get_bool(item, "special", false, origin);
    token.single_word = text_json::get_bool(item, "single_word", false, origin);
    token.lstrip = text_json::get_bool(item, "lstrip", false, origin);
    token.rstrip = text_json::get_bool(item, "rstrip", false, origin);
    token.normalized = text_json::get_bool(item, "normalized", !token.special, origin);
    // Passed over there, too.
    if (token.content.empty() || !seen.insert(token.content).second) continue;
    if (const auto own = find_spelled(vocabulary, token.content, spelling)) {
      token.id = *own;
    } else {
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
    added.push_back(std::move(token));
  }
  return added;
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
  const Spelling spelling = byte_level ? Spelling::kByteAlphabet : Spelling::kPlain;
  ModelJson model_json{model, cut ? std::move(cut->sections) : token_sections(model, origin),
                       spelling, origin};
  std::unique_ptr<const TokenModel> token_model = kind.read(model_json);
  std::vector<AddedToken> added =
      read_added_tokens(document, token_model->vocabulary(), spelling, origin);
  return Tokenizer(std::make_unique<const TokenizerData>(std::move(token_model), std::move(added),
                                                         std::move(parts), origin));
}

}  // namespace lathe
