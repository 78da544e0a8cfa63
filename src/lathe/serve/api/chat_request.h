// What all interfaces to conversations ask the engine for.
#pragma once

#include <optional>

#include "lathe/constraint/grammar.h"
#include "lathe/serve/api/chat_prompt.h"
#include "lathe/serve/api/text_fields.h"

namespace lathe {

// `format`: what the answer must fit (format_grammar). Errors: ApiError 400, also where the answer is to fit two things.
GenerationRequest chat_request(const ChatPrompt& chat, const TextFields& fields,
                               std::optional<constraint::Grammar> format, const ServedModel& model);

}  // namespace lathe
