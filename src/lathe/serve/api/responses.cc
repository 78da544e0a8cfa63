// /v1/responses: OpenAI's interface of items, whose answers are kept for a while.
#include "lathe/serve/api/block_writer.h"
#include "lathe/serve/api/chat_request.h"
#include "lathe/serve/api/endpoints.h"
#include "lathe/serve/api/responses_form.h"
#include "lathe/serve/response_store.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using Kind = AnswerBlock::Kind;

struct ResponseFields : TextFields {
  std::optional<int64_t> max_output_tokens;
  bool store = true;
  std::optional<std::string> previous_response_id;
  void visit(Visitor& v) {
    TextFields::visit(v);
    v.field("max_output_tokens", max_output_tokens, "tokens of the answer, at most", at_least(1));
    v.field("store", store, "the answer is kept, to be read and to be gone on from");
    v.field("previous_response_id", previous_response_id,
            "the answer that this request goes on from");
  }
};

// What of this interface has no effect here.
void refuse_what_is_not_done(RequestFields& fields) {
  fields.expect("background", std::vector<Json>{false}, "answers are written while one waits");
  fields.expect("conversation", {}, "use `previous_response_id`");
  fields.expect("include", std::vector<Json>{Json::array()}, "ask /v1/chat/completions");
  fields.expect("max_tool_calls", {}, "this server runs no tools");
  fields.expect("prompt", {}, "there are no prompt templates; use `instructions` and `input`");
  fields.expect(
      "reasoning", std::vector<Json>{Json::object()},
      "use `thinking_budget`, and what the model's template knows in `chat_template_kwargs`");
  fields.expect("service_tier", std::vector<Json>{"auto", "default"}, "there is one tier");
  fields.expect("top_logprobs", std::vector<Json>{0}, "ask /v1/chat/completions");
  fields.expect("truncation", std::vector<Json>{"disabled"}, "prompts are never shortened");
  fields.expect("n", std::vector<Json>{1}, "a response is one answer");
}

// `text`: {"format": …}, or nothing.
Json format_of(RequestFields& fields) {
  const Json& text = fields.get("text");
  if (text.is_null()) return nullptr;
  if (!text.is_object()) refuse("text", "a {}, expected an object", text.type_name());
  Json format;
  for (const auto& [key, value] : text.items()) {
    if (key == "format")
      format = value;
    else if (!value.is_null() && !(key == "verbosity" && value == "medium"))
      refuse("text", "`{}` is not supported; expected {{\"format\": …}}", key);
  }
  return format;
}

Json metadata_of(RequestFields& fields) {
  const Json& metadata = fields.get("metadata");
  if (metadata.is_null()) return Json::object();
  if (!metadata.is_object()) refuse("metadata", "a {}, expected an object", metadata.type_name());
  return metadata;
}

Json or_default(const Json& value, Json otherwise) { return value.is_null() ? otherwise : value; }

// An answer before it is written.
Json response_of(const std::string& id, const ServedModel& model, RequestFields& fields,
                 const ResponseFields& f, const Json& format) {
  const auto number = [](const std::optional<int64_t>& n) { return n ? Json(*n) : Json(); };
  return {{"id", id},
          {"object", "response"},
          {"created_at", unix_seconds()},
          {"status", "in_progress"},
          {"background", false},
          {"error", nullptr},
          {"incomplete_details", nullptr},
          {"instructions", fields.get("instructions")},
          {"max_output_tokens", number(f.max_tokens)},
          {"model", model.name()},
          {"output", Json::array()},
          {"parallel_tool_calls", or_default(fields.get("parallel_tool_calls"), true)},
          {"previous_response_id", f.previous_response_id ? Json(*f.previous_response_id) : Json()},
          {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
          {"service_tier", "default"},
          {"store", f.store},
          {"temperature", f.sampling.temperature},
          {"text", {{"format", or_default(format, {{"type", "text"}})}}},
          {"tool_choice", or_default(fields.get("tool_choice"), "auto")},
          {"tools", or_default(fields.get("tools"), Json::array())},
          {"top_p", f.sampling.top_p},
          {"truncation", "disabled"},
          {"usage", nullptr},
          {"metadata", metadata_of(fields)},
          {"seed", f.sampling.seed}};
}

class ResponseWriter : public BlockWriter {
 public:
  // `keep` gets the answer and what the assistant said, once it is complete.
  using Keep = std::function<void(const Json& response, Json turn)>;
  ResponseWriter(std::shared_ptr<ApiReply> reply, bool streams, Json response, Keep keep)
      : BlockWriter(std::move(reply), streams),
        response_(std::move(response)),
        keep_(std::move(keep)) {}

 private:
  std::string id_of(Kind kind) const override {
    return new_id(kind == Kind::kCall ? "call" : kind == Kind::kText ? "msg" : "rs");
  }

  static Json part_of(const AnswerBlock& block) {
    if (block.kind == Kind::kThought) return {{"type", "reasoning_text"}, {"text", block.text}};
    return {{"type", "output_text"},
            {"text", block.text},
            {"annotations", Json::array()},
            {"logprobs", Json::array()}};
  }

  static Json item_of(const AnswerBlock& block, const char* status) {
    if (block.kind == Kind::kCall)
      return {{"id", item_id(block)}, {"type", "function_call"}, {"status", status},
              {"call_id", block.id},  {"name", block.name},      {"arguments", block.text}};
    Json content = Json::array();
    if (status != kWriting) content.push_back(part_of(block));
    if (block.kind == Kind::kThought)
      return {{"id", block.id},
              {"type", "reasoning"},
              {"summary", Json::array()},
              {"content", std::move(content)}};
    return {{"id", block.id},
            {"type", "message"},
            {"status", status},
            {"role", "assistant"},
            {"content", std::move(content)}};
  }

  // The item of a call has a name beside that of the call.
  static std::string item_id(const AnswerBlock& block) {
    return block.kind == Kind::kCall ? "fc" + block.id.substr(block.id.find('-')) : block.id;
  }

  void event(const char* type, Json more) {
    Json data = {{"type", type}, {"sequence_number", sequence_++}};
    data.update(more);
    reply().event(data, type);
  }

  // Of a block's text: its keys, behind those that say where it is.
  static Json at(const AnswerBlock& block, Json more = Json::object()) {
    Json where = {{"item_id", item_id(block)}, {"output_index", block.index}};
    if (block.kind != Kind::kCall) where["content_index"] = 0;
    where.update(more);
    return where;
  }

  static std::string text_event(const AnswerBlock& block, const char* what) {
    const char* of = block.kind == Kind::kCall   ? "function_call_arguments"
                     : block.kind == Kind::kText ? "output_text"
                                                 : "reasoning_text";
    return fmt::format("response.{}.{}", of, what);
  }

  void begin() override {
    event("response.created", {{"response", response_}});
    event("response.in_progress", {{"response", response_}});
  }
  void open(const AnswerBlock& block) override {
    event("response.output_item.added",
          {{"output_index", block.index}, {"item", item_of(block, kWriting)}});
    if (block.kind != Kind::kCall)
      event("response.content_part.added", at(block, {{"part", part_of(block)}}));
  }
  void add(const AnswerBlock& block, const std::string& piece) override {
    Json more = {{"delta", piece}};
    if (block.kind == Kind::kText) more["logprobs"] = Json::array();
    event(text_event(block, "delta").c_str(), at(block, more));
  }
  void close(const AnswerBlock& block) override {
    Json all = {{"text", block.text}};
    if (block.kind == Kind::kText) all["logprobs"] = Json::array();
    if (block.kind == Kind::kCall) all = {{"name", block.name}, {"arguments", block.text}};
    event(text_event(block, "done").c_str(), at(block, all));
    if (block.kind != Kind::kCall)
      event("response.content_part.done", at(block, {{"part", part_of(block)}}));
    event("response.output_item.done",
          {{"output_index", block.index}, {"item", item_of(block, kWritten)}});
  }

  void finish(const AnswerEnd& end, const GenerationUsage& usage, bool streams) override {
    const bool cut = end.reason == "length";
    response_["status"] = cut ? "incomplete" : kWritten;
    if (cut) response_["incomplete_details"] = {{"reason", "max_output_tokens"}};
    for (const AnswerBlock& block : blocks()) {
      const bool last = block.index + 1 == blocks().size();
      response_["output"].push_back(item_of(block, cut && last ? "incomplete" : kWritten));
    }
    response_["usage"] = {{"input_tokens", usage.prompt_tokens},
                          {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
                          {"output_tokens", usage.new_tokens},
                          {"output_tokens_details", {{"reasoning_tokens", usage.thinking_tokens}}},
                          {"total_tokens", usage.prompt_tokens + usage.new_tokens}};
    if (keep_) keep_(response_, turn_of(blocks()));
    if (!streams) return reply().json(response_);
    event(cut ? "response.incomplete" : "response.completed", {{"response", response_}});
    reply().done();
  }

  static constexpr const char *kWriting = "in_progress", *kWritten = "completed";
  Json response_;
  Keep keep_;
  int64_t sequence_ = 0;
};

[[noreturn]] void refuse_id(const std::string& id, const char* param) {
  throw ApiError(404,
                 fmt::format("there is no response '{}'; it was never kept, or is forgotten", id),
                 param, "response_not_found");
}

// The turns that a request goes on from; null without any.
std::shared_ptr<const StoredTurns> turns_before(ApiContext& context, const ApiCall& call,
                                                const ResponseFields& f) {
  if (!f.previous_response_id) return nullptr;
  const auto found = context.responses.find(*f.previous_response_id, call.owner);
  if (!found) refuse_id(*f.previous_response_id, "previous_response_id");
  return found->turns;
}

ResponseWriter::Keep keeps_in(ResponseStore& store, const std::string& id, std::string owner,
                              StoredTurns turns) {
  return [&store, id, owner, turns](const Json& response, Json turn) mutable {
    turns.messages.push_back(std::move(turn));
    store.keep(id, {.owner = owner,
                    .body = response,
                    .turns = std::make_shared<const StoredTurns>(std::move(turns))});
  };
}

}  // namespace

void responses(ApiContext& context, const ApiCall& call) {
  RequestFields fields(call.request.body);
  ServedModel& model = model_of(context, fields);
  refuse_what_is_not_done(fields);
  const Json format = format_of(fields);
  auto grammar = format_grammar(format, "text");
  ResponseFields f;
  read_text_fields(f, fields, model);
  if (f.max_output_tokens) f.max_tokens = f.max_output_tokens;

  StoredTurns turns{.before = turns_before(context, call, f), .messages = input_messages(fields)};
  Json all = all_messages(turns.before);
  all.insert(all.end(), turns.messages.begin(), turns.messages.end());
  const ChatPrompt chat = read_response_chat(fields, std::move(all), model);
  GenerationRequest request = chat_request(chat, f, std::move(grammar), model);
  const std::string id = new_id("resp");
  Json response = response_of(id, model, fields, f, format);
  note_ignored(call, fields);
  auto keep = f.store ? keeps_in(context.responses, id, call.owner, std::move(turns))
                      : ResponseWriter::Keep();
  answer(
      context, call, id, model, std::move(request),
      std::make_unique<ResponseWriter>(call.reply, f.stream, std::move(response), std::move(keep)));
}

void show_response(ApiContext& context, const ApiCall& call) {
  const auto found = context.responses.find(call.rest, call.owner);
  if (!found) refuse_id(call.rest, "response_id");
  call.reply->json(found->body);
}

void forget_response(ApiContext& context, const ApiCall& call) {
  if (!context.responses.forget(call.rest, call.owner)) refuse_id(call.rest, "response_id");
  call.reply->json({{"id", call.rest}, {"object", "response"}, {"deleted", true}});
}

}  // namespace lathe
