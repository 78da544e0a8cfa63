// POST /v1/votes: which of two answers somebody found better.
#include <algorithm>

#include "lathe/serve/api/endpoints.h"
#include "lathe/serve/vote_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostMessages = 4096, kMostBytes = size_t{1} << 20;  // of a vote

std::string text_at(RequestFields& fields, std::string_view key) {
  const Json& value = fields.get(key);
  if (!value.is_string()) refuse(key, "`{}` is a {}, expected a text", key, value.type_name());
  return value.get<std::string>();
}

std::string model_at(RequestFields& fields, std::string_view key, const ServedModels& models) {
  std::string name = text_at(fields, key);
  if (models.find(name) == nullptr)
    refuse(key, "there is no model '{}'; name one of this server", name);
  return name;
}

// Role and text of a message, and nothing else of it.
Json message_of(const Json& message, size_t index) {
  const std::string place = fmt::format("prompt[{}]", index);
  const auto has_text = [&](const char* key) {
    return message.is_object() && message.contains(key) && message[key].is_string();
  };
  if (!has_text("role") || !has_text("content"))
    refuse(place, "expected an object with the texts role and content");
  constexpr std::string_view kRoles[] = {"system", "user", "assistant"};
  const auto role = message["role"].get<std::string>();
  if (std::ranges::find(kRoles, role) == std::end(kRoles))
    refuse(place, "the role '{}' is not one of system, user and assistant", role);
  return {{"role", role}, {"content", message["content"]}};
}

Json prompt_of(RequestFields& fields) {
  const Json& given = fields.get("prompt");
  if (!given.is_array() || given.empty() || given.size() > kMostMessages)
    refuse("prompt", "expected a list of one to {} messages", kMostMessages);
  Json prompt = Json::array();
  for (size_t i = 0; i < given.size(); ++i) prompt.push_back(message_of(given[i], i));
  if (prompt.back()["role"] != "user")
    refuse("prompt", "the last message is not the user's, whom both answers answer");
  return prompt;
}

}  // namespace

void add_vote(ApiContext& context, const ApiCall& call) {
  if (context.votes == nullptr)
    throw ApiError(403, "this server keeps no votes; start it with --votes FILE");
  if (call.request.body.size() > kMostBytes)
    throw ApiError(413, fmt::format("a vote of {} bytes, expected at most {}",
                                    call.request.body.size(), kMostBytes));
  RequestFields fields(call.request.body);
  const Json record = {{"prompt", prompt_of(fields)},
                       {"chosen", text_at(fields, "chosen")},
                       {"rejected", text_at(fields, "rejected")},
                       {"model_chosen", model_at(fields, "model_chosen", context.models)},
                       {"model_rejected", model_at(fields, "model_rejected", context.models)}};
  if (record["chosen"] == "") refuse("chosen", "an empty answer teaches nothing");
  if (record["chosen"] == record["rejected"])
    refuse("rejected", "both answers are the same, which is no preference");
  note_ignored(call, fields);
  context.votes->append(record);
  call.reply->json({{"stored", true}});
}

}  // namespace lathe
