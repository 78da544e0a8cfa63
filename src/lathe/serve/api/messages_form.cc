#include "lathe/serve/api/messages_form.h"

#include "lathe/serve/api/needed.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& content, const std::string& place) {
  return text_of_parts(content, {"text"}, place);
}

Json call_of(const Json& block, const std::string& place) {
  return {
      {"id", text_at(block, "id", place)},
      {"type", "function"},
      {"function",
       {{"name", text_at(block, "name", place)}, {"arguments", object_at(block, "input", place)}}}};
}

// Results of calls are messages of their own, and stand before the rest of what the user says.
void add_user(Json& out, const Json& content, const std::string& place) {
  if (content.is_string()) {
    out.push_back({{"role", "user"}, {"content", content}});
    return;
  }
  Json rest = Json::array();
  for (const Json& block : content) {
    if (type_of(block, place) != "tool_result") {
      rest.push_back(block);
      continue;
    }
    std::string result = text_of(block.value("content", Json("")), place);
    if (block.value("is_error", Json(false)) == true) result = "Error: " + result;
    out.push_back({{"role", "tool"},
                   {"tool_call_id", text_at(block, "tool_use_id", place)},
                   {"content", std::move(result)}});
  }
  if (!rest.empty()) out.push_back({{"role", "user"}, {"content", text_of(rest, place)}});
}

void add_assistant(Json& out, const Json& content, const std::string& place) {
  Json turn = {{"role", "assistant"}, {"content", nullptr}};
  if (content.is_string()) {
    turn["content"] = content;
    out.push_back(std::move(turn));
    return;
  }
  std::string text, thought;
  for (const Json& block : content) {
    const std::string type = type_of(block, place);
    if (type == "thinking")
      thought += text_at(block, "thinking", place);
    else if (type == "tool_use")
      turn["tool_calls"].push_back(call_of(block, place));
    else
      text += text_of(Json::array({block}), place);
  }
  if (!text.empty() || !turn.contains("tool_calls")) turn["content"] = text;
  if (!thought.empty()) turn["reasoning_content"] = thought;
  out.push_back(std::move(turn));
}

Json chat_messages(const Json& messages, const Json& system) {
  Json out = Json::array();
  if (!system.is_null())
    out.push_back({{"role", "system"}, {"content", text_of(system, "system")}});
  if (!messages.is_array() || messages.empty())
    refuse("messages",
           "expected a list of one message at least: [{{\"role\": \"user\", \"content\": …}}]");
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string place = fmt::format("messages[{}]", i);
    const Json& message = messages[i];
    if (!message.is_object())
      refuse(place, "a {}, expected an object with role and content", message.type_name());
    const std::string role = text_at(message, "role", place);
    const Json content = message.value("content", Json());
    if (!content.is_string() && !content.is_array())
      refuse(place, "`content` is a {}, expected a text or a list of blocks", content.type_name());
    if (role == "user")
      add_user(out, content, place);
    else if (role == "assistant")
      add_assistant(out, content, place);
    else
      refuse(place, "the role '{}' is not known; expected user or assistant (and `system`)", role);
  }
  return out;
}

Json chat_tools(const Json& tools) {
  if (!tools.is_array()) refuse("tools", "a {}, expected a list", tools.type_name());
  Json out = Json::array();
  for (size_t i = 0; i < tools.size(); ++i) {
    const std::string place = fmt::format("tools[{}]", i);
    const Json& tool = tools[i];
    if (!tool.is_object()) refuse(place, "a {}, expected an object", tool.type_name());
    const Json type = tool.value("type", Json("custom"));
    if (type != "custom" && !type.is_null())
      refuse(place, "tools of type {} are not run by this server; give one with an `input_schema`",
             type.dump());
    Json function = {{"name", text_at(tool, "name", place)}};
    if (tool.contains("description")) function["description"] = tool["description"];
    function["parameters"] = object_at(tool, "input_schema", place);
    out.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return out;
}

void add_choice(Json& out, const Json& choice) {
  if (choice.is_null()) return;
  if (!choice.is_object())
    refuse("tool_choice", "a {}, expected an object such as {{\"type\": \"auto\"}}",
           choice.type_name());
  const Json type = choice.value("type", Json());
  if (type == "auto" || type == "none")
    out["tool_choice"] = type;
  else if (type == "any")
    out["tool_choice"] = "required";
  else if (type == "tool")
    out["tool_choice"] = {{"type", "function"},
                          {"function", {{"name", text_at(choice, "name", "tool_choice")}}}};
  else
    refuse("tool_choice", "`type` is {}, expected \"auto\", \"any\", \"tool\" or \"none\"",
           type.dump());
  const Json alone = choice.value("disable_parallel_tool_use", Json(false));
  if (!alone.is_boolean())
    refuse("tool_choice", "`disable_parallel_tool_use` is a {}, expected true or false",
           alone.type_name());
  out["parallel_tool_calls"] = !alone.get<bool>();
}

}  // namespace

ChatPrompt read_messages(RequestFields& fields, const ServedModel& model) {
  Json chat = {{"messages", chat_messages(fields.get("messages"), fields.get("system"))}};
  const Json& tools = fields.get("tools");
  if (!tools.is_null()) chat["tools"] = chat_tools(tools);
  add_choice(chat, fields.get("tool_choice"));
  chat["chat_template_kwargs"] = fields.get("chat_template_kwargs");
  const Json& last = chat["messages"].back();
  if (last.contains("tool_calls"))
    refuse("messages", "the last message calls tools; their results must follow");
  chat["continue_final_message"] = last["role"] == "assistant";
  RequestFields converted = RequestFields::of(std::move(chat));
  return read_chat(converted, model);
}

}  // namespace lathe
