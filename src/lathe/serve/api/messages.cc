// POST /v1/messages and /v1/messages/count_tokens: the interface of Anthropic.
#include "lathe/serve/api/block_writer.h"
#include "lathe/serve/api/chat_request.h"
#include "lathe/serve/api/endpoints.h"
#include "lathe/serve/api/messages_form.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using Kind = AnswerBlock::Kind;

void read_metadata(RequestFields& fields) {
  const Json& metadata = fields.get("metadata");
  if (!metadata.is_null() && !metadata.is_object())
    refuse("metadata", "a {}, expected an object", metadata.type_name());
}

void read_stop_sequences(RequestFields& fields, TextFields& f) {
  const Json& stops = fields.get("stop_sequences");
  if (stops.is_null()) return;
  if (!stops.is_array())
    refuse("stop_sequences", "a {}, expected a list of texts", stops.type_name());
  for (const Json& stop : stops) {
    if (!stop.is_string())
      refuse("stop_sequences", "a {}, expected a list of texts", stop.type_name());
    f.sampling.stop.push_back(stop.get<std::string>());
  }
}

// {"type": "enabled", "budget_tokens": N} or {"type": "disabled"}, by the template's `enable_thinking`.
void read_thinking(RequestFields& fields, ChatPrompt& chat, TextFields& f) {
  const Json& thinking = fields.get("thinking");
  if (thinking.is_null()) return;
  const Json type = thinking.is_object() ? thinking.value("type", Json()) : Json();
  if (type == "enabled") {
    const Json budget = thinking.value("budget_tokens", Json());
    if (!budget.is_number_unsigned())
      refuse("thinking", "`budget_tokens` is {}, expected a number of tokens", budget.dump());
    f.thinking_budget = budget.get<int64_t>();
  } else if (type != "disabled") {
    refuse("thinking", "`type` is {}, expected \"enabled\" or \"disabled\"", type.dump());
  }
  chat.template_variables["enable_thinking"] = type == "enabled";
}

// What of Anthropic's interface has no effect here.
void refuse_what_is_not_done(RequestFields& fields) {
  fields.expect("service_tier", std::vector<Json>{"auto", "standard_only"}, "there is one tier");
  fields.expect("container", {}, "this server runs no code");
  fields.expect("mcp_servers", std::vector<Json>{Json::array()}, "this server calls no others");
  fields.expect("context_management", {}, "prompts are never shortened");
  fields.expect("output_config", {}, "use `grammar`, `regex` or `choice`");
  fields.expect("n", std::vector<Json>{1}, "a message is one answer");
}

class MessagesWriter : public BlockWriter {
 public:
  MessagesWriter(std::shared_ptr<ApiReply> reply, bool streams, Json head)
      : BlockWriter(std::move(reply), streams), head_(std::move(head)) {}

 private:
  std::string id_of(Kind kind) const override {
    return kind == Kind::kCall ? new_id("toolu") : std::string();
  }

  static Json as_json(const AnswerBlock& block) {
    if (block.kind == Kind::kText) return {{"type", "text"}, {"text", block.text}};
    if (block.kind == Kind::kThought)
      return {{"type", "thinking"}, {"thinking", block.text}, {"signature", ""}};
    return {{"type", "tool_use"},
            {"id", block.id},
            {"name", block.name},
            {"input", arguments_of(block)}};
  }

  void event(Json data) { reply().event(data, data["type"].get<std::string>()); }

  void begin() override { event({{"type", "message_start"}, {"message", head_}}); }
  void open(const AnswerBlock& block) override {
    event({{"type", "content_block_start"},
           {"index", block.index},
           {"content_block", as_json(block)}});
  }
  void add(const AnswerBlock& block, const std::string& piece) override {
    Json delta = {{"type", "text_delta"}, {"text", piece}};
    if (block.kind == Kind::kThought) delta = {{"type", "thinking_delta"}, {"thinking", piece}};
    if (block.kind == Kind::kCall) delta = {{"type", "input_json_delta"}, {"partial_json", piece}};
    event({{"type", "content_block_delta"}, {"index", block.index}, {"delta", std::move(delta)}});
  }
  void close(const AnswerBlock& block) override {
    event({{"type", "content_block_stop"}, {"index", block.index}});
  }

  std::string stop_reason(const AnswerEnd& end) const {
    if (end.reason == "length") return "max_tokens";
    if (!end.stop_string.empty()) return "stop_sequence";
    return blocks().back().kind == Kind::kCall ? "tool_use" : "end_turn";
  }

  void finish(const AnswerEnd& end, const GenerationUsage& usage, bool streams) override {
    const Json reason = {
        {"stop_reason", stop_reason(end)},
        {"stop_sequence", end.stop_string.empty() ? Json() : Json(end.stop_string)}};
    const Json counts = {{"input_tokens", usage.prompt_tokens},
                         {"output_tokens", usage.new_tokens}};
    if (streams) {
      event({{"type", "message_delta"}, {"delta", reason}, {"usage", counts}});
      event({{"type", "message_stop"}});
      return reply().done();
    }
    for (const AnswerBlock& block : blocks()) head_["content"].push_back(as_json(block));
    head_.update(reason);
    head_["usage"] = counts;
    reply().json(head_);
  }

  Json head_;
};

}  // namespace

void messages(ApiContext& context, const ApiCall& call) {
  RequestFields fields(call.request.body);
  ServedModel& model = model_of(context, fields);
  refuse_what_is_not_done(fields);
  ChatPrompt chat = read_messages(fields, model);
  TextFields f;
  f.begin(fields, model);
  fields.read(f);
  read_stop_sequences(fields, f);
  f.finish();
  if (!f.max_tokens) refuse("max_tokens", "is missing; say how many tokens an answer may have");
  read_metadata(fields);
  read_thinking(fields, chat, f);
  GenerationRequest request = chat_request(chat, f, std::nullopt, model);
  note_ignored(call, fields);
  const std::string id = new_id("msg");
  Json head = {{"id", id},
               {"type", "message"},
               {"role", "assistant"},
               {"model", model.name()},
               {"content", Json::array()},
               {"stop_reason", nullptr},
               {"stop_sequence", nullptr},
               {"usage", {{"input_tokens", request.prompts.front().size()}, {"output_tokens", 0}}}};
  answer(context, call, id, model, std::move(request),
         std::make_unique<MessagesWriter>(call.reply, f.stream, std::move(head)));
}

void count_tokens(ApiContext& context, const ApiCall& call) {
  RequestFields fields(call.request.body);
  const ServedModel& model = model_of(context, fields);
  ChatPrompt chat = read_messages(fields, model);
  TextFields f;
  read_thinking(fields, chat, f);
  note_ignored(call, fields);
  call.reply->json({{"input_tokens", model.tokenizer().encode(prompt_text(chat, model)).size()}});
}

}  // namespace lathe
