// Texts and tokens: /tokenize, /detokenize, /apply-template.
#include "lathe/base/utf8.h"
#include "lathe/serve/api/chat_prompt.h"
#include "lathe/serve/api/endpoints.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

bool flag(RequestFields& fields, std::string_view key) {
  const Json& value = fields.get(key);
  if (value.is_null()) return false;
  if (!value.is_boolean()) refuse(key, "a {}, expected true or false", value.type_name());
  return value.get<bool>();
}

}  // namespace

void tokenize(ApiContext& context, const ApiCall& call) {
  RequestFields fields(call.request.body);
  const ServedModel& model = model_of(context, fields);
  const Json& content = fields.get("content");
  if (!content.is_string()) refuse("content", "a {}, expected a text", content.type_name());
  const bool special = flag(fields, "add_special");
  note_ignored(call, fields);
  call.reply->json({{"tokens", model.tokenizer().encode(content.get<std::string>(),
                                                        {.add_special_tokens = special})}});
}

void detokenize(ApiContext& context, const ApiCall& call) {
  RequestFields fields(call.request.body);
  const ServedModel& model = model_of(context, fields);
  const Json& tokens = fields.get("tokens");
  if (!tokens.is_array()) refuse("tokens", "a {}, expected a list of ids", tokens.type_name());
  std::vector<int32_t> ids;
  for (const Json& token : tokens) {
    if (!token.is_number_integer() || token < 0 || token > INT32_MAX ||
        !model.tokenizer().has(token.get<int64_t>()))
      refuse("tokens", "{} is no token of {}", token.dump(), model.name());
    ids.push_back(token.get<int32_t>());
  }
  note_ignored(call, fields);
  call.reply->json({{"content", readable_utf8(model.tokenizer().decode(ids))}});
}

void apply_template(ApiContext& context, const ApiCall& call) {
  RequestFields fields(call.request.body);
  const ServedModel& model = model_of(context, fields);
  const ChatPrompt chat = read_chat(fields, model);
  note_ignored(call, fields);
  call.reply->json({{"prompt", prompt_text(chat, model)}});
}

}  // namespace lathe
