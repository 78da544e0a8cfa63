// Requests of Anthropic's interface, in the form of OpenAI's chat that everything behind it reads.
#pragma once

#include "lathe/serve/api/chat_prompt.h"

namespace lathe {

// Reads `system`, `messages`, `tools`, `tool_choice` and `chat_template_kwargs`. A last message of the assistant is the
// beginning of the answer. Errors: ApiError 400, for blocks that are not text, calls or results too.
ChatPrompt read_messages(RequestFields& fields, const ServedModel& model);

}  // namespace lathe
