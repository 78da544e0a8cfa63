// POST /v1/chat/completions.
#include "lathe/serve/api/chat_request.h"
#include "lathe/serve/api/endpoints.h"
#include "lathe/serve/api/openai_form.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct ChatFields : TextFields {
  bool logprobs = false;
  int64_t top_logprobs = 0;
  void visit(Visitor& v) {
    TextFields::visit(v);
    v.field("logprobs", logprobs, "the log-probability of each token");
    v.field("top_logprobs", top_logprobs, "and of the most likely ones at its place",
            between(0, 20));
  }
};

// What of OpenAI's interface has no effect here.
void refuse_what_is_not_done(RequestFields& fields) {
  fields.expect("modalities", std::vector<Json>{{"text"}}, "answers are text");
  fields.expect("audio", {}, "answers are text");
  fields.expect("prediction", {}, "guesses follow from the server's --draft and --speculate");
  fields.expect("service_tier", std::vector<Json>{"auto", "default"}, "there is one tier");
  fields.expect("store", std::vector<Json>{false},
                "answers are not kept; /v1/responses keeps them");
  fields.expect("metadata", std::vector<Json>{Json::object()}, "answers are not kept");
  fields.expect("reasoning_effort", {},
                "give what the model's template knows in `chat_template_kwargs`");
  fields.expect("verbosity", std::vector<Json>{"medium"}, "the model has no such setting");
  fields.expect("web_search_options", {}, "this server searches no web");
  fields.expect("functions", {}, "use `tools`");
  fields.expect("function_call", {}, "use `tool_choice`");
}

class ChatWriter : public OpenAiWriter {
 public:
  using OpenAiWriter::OpenAiWriter;

 private:
  std::string_view object(bool chunk) const override {
    return chunk ? "chat.completion.chunk" : "chat.completion";
  }

  Json logprobs(std::vector<NewToken> tokens, Choice&) const override {
    Json content = Json::array();
    for (const NewToken& token : tokens)
      content.push_back(chat_logprob(token, form().model->tokenizer()));
    return {{"content", std::move(content)}, {"refusal", nullptr}};
  }

  Json begin_choice() const override {
    return {{"delta", {{"role", "assistant"}, {"content", ""}}}};
  }

  // One delta of everything: what several tokens made certain at once stays apart by kind.
  Json piece(Choice& choice, const std::vector<AnswerPart>& parts) const override {
    Json delta = Json::object();
    for (const AnswerPart& part : parts) add(choice, part, delta);
    return {{"delta", std::move(delta)}};
  }

  Json whole(const Choice& choice, const ChatMessage& said) const override {
    Json message = {{"role", "assistant"}, {"content", said.content}, {"refusal", nullptr}};
    if (!said.reasoning_content.empty()) message["reasoning_content"] = said.reasoning_content;
    for (size_t i = 0; i < said.tool_calls.size(); ++i)
      message["tool_calls"].push_back(
          {{"id", call_id(choice, i)},
           {"type", "function"},
           {"function",
            {{"name", said.tool_calls[i].name}, {"arguments", said.tool_calls[i].arguments}}}});
    if (!said.tool_calls.empty() && said.content.empty()) message["content"] = nullptr;
    return {{"message", std::move(message)}};
  }

  std::string reason(const AnswerEnd& end) const override {
    const bool called = !end.message->tool_calls.empty();
    return called && end.reason == "stop" ? "tool_calls" : std::string(end.reason);
  }

  // Ids that a model writes itself are known too late for a stream.
  static std::string call_id(const Choice& choice, size_t call) {
    return fmt::format("call_{}{:02}", choice.id, call);
  }

  static void add(Choice& choice, const AnswerPart& part, Json& delta) {
    using Kind = AnswerPart::Kind;
    const auto append = [&](const char* key) { delta[key] = delta.value(key, "") + part.text; };
    if (part.kind == Kind::kText) return append("content");
    if (part.kind == Kind::kThought) return append("reasoning_content");
    Json& calls = delta["tool_calls"];
    if (part.kind == Kind::kCallName) {
      calls.push_back({{"index", part.call},
                       {"id", call_id(choice, part.call)},
                       {"type", "function"},
                       {"function", {{"name", part.text}, {"arguments", ""}}}});
      return;
    }
    if (calls.empty() || calls.back()["index"] != part.call)
      calls.push_back({{"index", part.call}, {"function", {{"arguments", ""}}}});
    Json& arguments = calls.back()["function"]["arguments"];
    arguments = arguments.get<std::string>() + part.text;
  }
};

}  // namespace

void chat_completions(ApiContext& context, const ApiCall& call) {
  RequestFields fields(call.request.body);
  ServedModel& model = model_of(context, fields);
  refuse_what_is_not_done(fields);
  const ChatPrompt chat = read_chat(fields, model);
  auto format = format_grammar(fields.get("response_format"), "response_format");
  ChatFields f;
  read_text_fields(f, fields, model);
  if (f.top_logprobs > 0 && !f.logprobs) refuse("top_logprobs", "needs \"logprobs\": true");
  GenerationRequest request = chat_request(chat, f, std::move(format), model);
  if (f.logprobs) request.logprobs = f.top_logprobs;
  note_ignored(call, fields);

  OpenAiForm form{.id = new_id("chatcmpl"), .model = &model, .fields = f, .logprobs = f.logprobs};
  form.prompts = request.prompts;
  const std::string id = form.id;
  answer(context, call, id, model, std::move(request),
         std::make_unique<ChatWriter>(call.reply, std::move(form)));
}

}  // namespace lathe
