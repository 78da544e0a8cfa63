#include "lathe/serve/api/chat_request.h"

namespace lathe {
namespace {

void check_thinking_budget(const TextFields& fields, const ServedModel& model) {
  if (!fields.thinking_budget) return;
  if (!model.thinking())
    refuse("thinking_budget", "{} does not think between tags that are known", model.name());
  if (!model.thinking()->at_once)
    refuse("thinking_budget", "the thoughts of {} cannot be bounded", model.name());
}

}  // namespace

GenerationRequest chat_request(const ChatPrompt& chat, const TextFields& fields,
                               std::optional<constraint::Grammar> format,
                               const ServedModel& model) {
  check_thinking_budget(fields, model);
  auto calls = calls_grammar(chat, model);
  auto free_form = fields.constraint_grammar();
  if ((calls ? 1 : 0) + (format ? 1 : 0) + (free_form ? 1 : 0) > 1)
    refuse(calls ? "tools" : "response_format",
           "give at most one of `tools`, a response format, `grammar`, `regex` and `choice`");
  GenerationRequest request =
      fields.request(model, {model.tokenizer().encode(prompt_text(chat, model))}, "messages");
  request.reads_calls = calls.has_value();
  request.reads_thoughts = true;
  request.thinking_budget = fields.thinking_budget;
  if (calls) request.constraint = constraint_of(std::move(*calls), model, model.calls().marks());
  if (format) request.constraint = constraint_of(std::move(*format), model);
  if (free_form) request.constraint = constraint_of(std::move(*free_form), model);
  return request;
}

}  // namespace lathe
