#include "lathe/serve/api/chat_prompt.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/constraint/schema_grammar.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostMessages = 4096, kMostTools = 128;
constexpr constraint::SchemaOptions kBounded = {.blanks = constraint::JsonBlanks::kOneSpace};

// A string, or the texts of parts of type "text" behind each other.
Json content_of(const Json& content, const std::string& place) {
  if (content.is_string() || content.is_null()) return content;
  if (!content.is_array())
    refuse(place, "`content` is a {}, expected a text or a list of parts", content.type_name());
  std::string text;
  for (const Json& part : content) {
    const std::string type = part.is_object() && part.contains("type") && part["type"].is_string()
                                 ? part["type"].get<std::string>()
                                 : "";
    if (type != "text" || !part.contains("text") || !part["text"].is_string())
      refuse(place,
             "a part of type '{}' is not supported; this server reads parts of type \"text\"",
             type);
    text += part["text"].get<std::string>();
  }
  return text;
}

// Arguments come as JSON in a text; most templates want the object.
Json calls_of(const Json& calls, const std::string& place, bool arguments_are_text) {
  if (!calls.is_array()) refuse(place, "`tool_calls` is a {}, expected a list", calls.type_name());
  Json out = Json::array();
  for (const Json& call : calls) {
    const Json* function =
        call.is_object() && call.contains("function") ? &call["function"] : nullptr;
    if (function == nullptr || !function->is_object() || !function->contains("name") ||
        !(*function)["name"].is_string())
      refuse(place, "a call without a function's name");
    Json copy = call;
    Json& arguments = copy["function"]["arguments"];
    if (arguments.is_string() && !arguments_are_text) {
      Json parsed = Json::parse(arguments.get<std::string>(), nullptr, /*allow_exceptions=*/false);
      if (!parsed.is_object()) refuse(place, "the arguments of a call are not a JSON object");
      arguments = std::move(parsed);
    } else if (arguments.is_object() && arguments_are_text) {
      arguments = arguments.dump();
    }
    out.push_back(std::move(copy));
  }
  return out;
}

std::string role_of(const Json& message, const std::string& place) {
  const Json role = message.value("role", Json());
  if (!role.is_string()) refuse(place, "a message without a role");
  const auto name = role.get<std::string>();
  if (name == "developer") return "system";  // the name that templates know
  constexpr std::string_view kRoles[] = {"system", "user", "assistant", "tool", "function"};
  if (std::ranges::find(kRoles, name) == std::end(kRoles))
    refuse(place, "the role '{}' is not known; expected system, developer, user, assistant or tool",
           name);
  return name;
}

Json message_of(const Json& message, size_t index, bool arguments_are_text) {
  const std::string place = fmt::format("messages[{}]", index);
  if (!message.is_object())
    refuse(place, "a {}, expected an object with role and content", message.type_name());
  Json out = message;
  out["role"] = role_of(message, place);
  out["content"] = content_of(message.value("content", Json()), place);
  if (out["content"].is_null() && out["role"] != "assistant")
    refuse(place, "a message without content");
  if (message.contains("tool_calls") && !message["tool_calls"].is_null())
    out["tool_calls"] = calls_of(message["tool_calls"], place, arguments_are_text);
  return out;
}

// Templates that write no calls get arguments as objects: the form that most of the others want.
bool arguments_are_text(const ServedModel& model) {
  try {
    return model.calls().arguments_are_text;
  } catch (const ApiError&) {
    return false;
  }
}

// What the answer begins with is not in `messages` any more.
void read_beginning(RequestFields& fields, ChatPrompt& chat) {
  const Json& goes_on = fields.get("continue_final_message");
  if (!goes_on.is_null() && !goes_on.is_boolean())
    refuse("continue_final_message", "a {}, expected true or false", goes_on.type_name());
  if (goes_on != true) return;
  const Json& last = chat.messages.back();
  if (last["role"] != "assistant" || !last["content"].is_string() || last.contains("tool_calls"))
    refuse("continue_final_message", "the last message is no text of the assistant");
  chat.beginning = last["content"].get<std::string>();
  chat.messages.erase(chat.messages.size() - 1);
  if (chat.messages.empty()) refuse("messages", "expected a message before the one that goes on");
}

void read_tools(RequestFields& fields, ChatPrompt& chat) {
  const Json& tools = fields.get("tools");
  const Json& choice = fields.get("tool_choice");
  const Json& parallel = fields.get("parallel_tool_calls");
  if (!parallel.is_null() && !parallel.is_boolean())
    refuse("parallel_tool_calls", "a {}, expected true or false", parallel.type_name());
  const bool given = !tools.is_null() && !(tools.is_array() && tools.empty());
  if (!given) {
    if (!choice.is_null() && choice != "none" && choice != "auto")
      refuse("tool_choice", "there are no `tools` to choose from");
    return;
  }
  if (!tools.is_array()) refuse("tools", "a {}, expected a list", tools.type_name());
  if (tools.size() > kMostTools)
    refuse("tools", "{} tools, expected at most {}", tools.size(), kMostTools);
  chat.tools = tools;
  try {
    chat.tool_choice = tool_choice_of(choice.is_null() ? Json("auto") : choice,
                                      parallel.is_null() || parallel.get<bool>());
  } catch (const Error& error) {
    throw ApiError(400, message_without_place(error), "tool_choice");
  }
}

}  // namespace

ChatPrompt read_chat(RequestFields& fields, const ServedModel& model) {
  ChatPrompt chat;
  const Json& messages = fields.get("messages");
  if (!messages.is_array() || messages.empty())
    refuse("messages",
           "expected a list of one message at least: [{{\"role\": \"user\", \"content\": …}}]");
  if (messages.size() > kMostMessages)
    refuse("messages", "{} messages, expected at most {}", messages.size(), kMostMessages);
  read_tools(fields, chat);
  const bool has_calls = std::ranges::any_of(
      messages, [](const Json& m) { return m.is_object() && m.contains("tool_calls"); });
  const bool as_text = has_calls && arguments_are_text(model);
  for (size_t i = 0; i < messages.size(); ++i)
    chat.messages.push_back(message_of(messages[i], i, as_text));
  read_beginning(fields, chat);
  const Json& variables = fields.get("chat_template_kwargs");
  if (!variables.is_null() && !variables.is_object())
    refuse("chat_template_kwargs", "a {}, expected an object", variables.type_name());
  if (variables.is_object()) chat.template_variables = variables;
  return chat;
}

std::string prompt_text(const ChatPrompt& chat, const ServedModel& model) {
  Json all = chat.template_variables;
  all["messages"] = chat.messages;
  all["tools"] = chat.tools;
  all["add_generation_prompt"] = true;
  try {
    return model.chat_template().text(all) + chat.beginning.value_or("");
  } catch (const Error& error) {
    throw ApiError(400, message_without_place(error), "messages");
  }
}

std::optional<constraint::Grammar> format_grammar(const Json& format, std::string_view param) {
  if (format.is_null()) return std::nullopt;
  const Json type = format.is_object() ? format.value("type", Json()) : Json();
  try {
    if (type == "text") return std::nullopt;
    if (type == "json_object") return constraint::json_object_grammar(kBounded);
    if (type == "json_schema") {
      // Chat has the schema one level deeper than responses have it.
      const Json& holder = format.contains("json_schema") ? format["json_schema"] : format;
      if (!holder.is_object() || !holder.contains("schema")) refuse(param, "has no `schema`");
      return constraint::schema_grammar(holder["schema"], kBounded);
    }
  } catch (const Error& error) {
    throw ApiError(400, error.what(), std::string(param));
  }
  refuse(param, "`type` is {}, expected \"text\", \"json_object\" or \"json_schema\"", type.dump());
}

std::optional<constraint::Grammar> calls_grammar(const ChatPrompt& chat, const ServedModel& model) {
  if (chat.tools.is_null() || chat.tool_choice.kind == ToolChoice::Kind::kNone) return std::nullopt;
  try {
    return tool_call_grammar(model.calls(), chat.tools, chat.tool_choice);
  } catch (const Error& error) {
    throw ApiError(400, error.what(),
                   std::string(error.what()).starts_with("[tool_choice") ? "tool_choice" : "tools");
  }
}

}  // namespace lathe
