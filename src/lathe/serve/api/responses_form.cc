#include "lathe/serve/api/responses_form.h"

#include "lathe/serve/api/needed.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& content, const std::string& place) {
  return text_of_parts(content, {"input_text", "output_text", "text", "reasoning_text"}, place);
}

// The turn of the assistant that calls and thoughts belong to: the last message, or a new one.
Json& turn_of_assistant(Json& messages) {
  if (messages.empty() || messages.back()["role"] != "assistant")
    messages.push_back({{"role", "assistant"}, {"content", nullptr}});
  return messages.back();
}

void add_message(Json& out, const Json& item, const std::string& place) {
  const std::string role = text_at(item, "role", place);
  std::string text = text_of(item.value("content", Json()), place);
  const bool fills_turn = role == "assistant" && !out.empty() &&
                          out.back()["role"] == "assistant" && out.back()["content"].is_null() &&
                          !out.back().contains("tool_calls");
  if (fills_turn)
    out.back()["content"] = std::move(text);
  else
    out.push_back({{"role", role}, {"content", std::move(text)}});
}

void add_item(Json& out, const Json& item, const std::string& place) {
  if (!item.is_object()) refuse(place, "a {}, expected an item", item.type_name());
  const std::string type = item.contains("type") ? type_of(item, place) : "message";
  if (type == "message") return add_message(out, item, place);
  if (type == "function_call") {
    turn_of_assistant(out)["tool_calls"].push_back(
        {{"id", text_at(item, "call_id", place)},
         {"type", "function"},
         {"function",
          {{"name", text_at(item, "name", place)},
           {"arguments", text_at(item, "arguments", place)}}}});
  } else if (type == "function_call_output") {
    out.push_back({{"role", "tool"},
                   {"tool_call_id", text_at(item, "call_id", place)},
                   {"content", text_of(item.value("output", Json()), place)}});
  } else if (type == "reasoning") {
    out.push_back({{"role", "assistant"},
                   {"content", nullptr},
                   {"reasoning_content", text_of(item.value("content", Json::array()), place)}});
  } else {
    refuse(place,
           "an item of type '{}' is not read here; expected \"message\", \"function_call\", "
           "\"function_call_output\" or \"reasoning\"",
           type);
  }
}

// Chat has the function one level deeper.
Json chat_tools(const Json& tools) {
  if (!tools.is_array()) refuse("tools", "a {}, expected a list", tools.type_name());
  Json out = Json::array();
  for (size_t i = 0; i < tools.size(); ++i) {
    const std::string place = fmt::format("tools[{}]", i);
    const std::string type = type_of(tools[i], place);
    if (type != "function")
      refuse("tools", "a tool of type '{}' is not run by this server; expected \"function\"", type);
    Json function = tools[i];
    function.erase("type");
    out.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return out;
}

Json chat_choice(const Json& choice) {
  if (!choice.is_object()) return choice;
  if (choice.value("type", Json()) != "function")
    refuse("tool_choice", "`type` is {}, expected \"function\"",
           choice.value("type", Json()).dump());
  return {{"type", "function"}, {"function", {{"name", text_at(choice, "name", "tool_choice")}}}};
}

}  // namespace

Json input_messages(RequestFields& fields) {
  const Json& input = fields.get("input");
  Json out = Json::array();
  if (input.is_string()) {
    out.push_back({{"role", "user"}, {"content", input}});
    return out;
  }
  if (!input.is_array() || input.empty())
    refuse("input", "expected a text, or a list of one item at least");
  for (size_t i = 0; i < input.size(); ++i) add_item(out, input[i], fmt::format("input[{}]", i));
  return out;
}

ChatPrompt read_response_chat(RequestFields& fields, Json messages, const ServedModel& model) {
  const Json& instructions = fields.get("instructions");
  if (!instructions.is_null()) {
    if (!instructions.is_string())
      refuse("instructions", "a {}, expected a text", instructions.type_name());
    messages.insert(messages.begin(), Json{{"role", "system"}, {"content", instructions}});
  }
  Json chat = {{"messages", std::move(messages)},
               {"parallel_tool_calls", fields.get("parallel_tool_calls")},
               {"chat_template_kwargs", fields.get("chat_template_kwargs")}};
  const Json& tools = fields.get("tools");
  if (!tools.is_null()) chat["tools"] = chat_tools(tools);
  chat["tool_choice"] = chat_choice(fields.get("tool_choice"));
  RequestFields converted = RequestFields::of(std::move(chat));
  return read_chat(converted, model);
}

}  // namespace lathe
