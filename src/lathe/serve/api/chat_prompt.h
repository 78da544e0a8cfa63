// Conversations of requests as prompts, and what their answers must fit.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lathe/chat/tool_call_grammar.h"
#include "lathe/serve/request_fields.h"
#include "lathe/serve/served_model.h"

namespace lathe {

// A conversation in the form of OpenAI, checked.
struct ChatPrompt {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  nlohmann::ordered_json tools = nullptr;
  nlohmann::ordered_json template_variables = nlohmann::ordered_json::object();
  ToolChoice tool_choice = {.kind = ToolChoice::Kind::kNone};
  std::optional<std::string> beginning = {};  // of the answer: the last message, which goes on
};

// Reads `messages`, `tools`, `tool_choice`, `parallel_tool_calls`, `chat_template_kwargs` and `continue_final_message`.
ChatPrompt read_chat(RequestFields& fields, const ServedModel& model);

// As the model reads it. Errors: ApiError 400 for what its template refuses.
std::string prompt_text(const ChatPrompt& chat, const ServedModel& model);

// Of `response_format`, if it asks for JSON: the grammar of what is allowed. `param` is its key.
std::optional<constraint::Grammar> format_grammar(const nlohmann::ordered_json& format,
                                                  std::string_view param);
// Of calls of tools, if the choice allows any. Marks of the syntax are tokens of the vocabulary.
std::optional<constraint::Grammar> calls_grammar(const ChatPrompt& chat, const ServedModel& model);

}  // namespace lathe
