// Requests of OpenAI's /v1/responses, in the form of its chat that everything behind it reads.
#pragma once

#include "lathe/serve/api/chat_prompt.h"

namespace lathe {

// The messages of `input`: a text of the user, or items. Errors: ApiError 400, for items that are not read too.
nlohmann::ordered_json input_messages(RequestFields& fields);

// A conversation of these messages, with `instructions` before them, and with `tools`, `tool_choice`,
// `parallel_tool_calls` and `chat_template_kwargs`.
ChatPrompt read_response_chat(RequestFields& fields, nlohmann::ordered_json messages,
                              const ServedModel& model);

}  // namespace lathe
