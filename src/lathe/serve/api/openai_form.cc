#include "lathe/serve/api/openai_form.h"

#include "lathe/base/utf8.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

Json token_entry(const Tokenizer& tokenizer, int32_t token, float logprob) {
  const std::string bytes = tokenizer.has(token) ? tokenizer.token_bytes(token) : "";
  Json numbers = Json::array();
  for (const char byte : bytes) numbers.push_back(static_cast<uint8_t>(byte));
  return {{"token", readable_utf8(bytes)}, {"logprob", logprob}, {"bytes", std::move(numbers)}};
}

Json ids_of(const std::vector<NewToken>& tokens) {
  Json ids = Json::array();
  for (const NewToken& token : tokens) ids.push_back(token.token);
  return ids;
}

}  // namespace

std::string token_text(const Tokenizer& tokenizer, int32_t token) {
  return tokenizer.has(token) ? readable_utf8(tokenizer.token_bytes(token)) : "";
}

Json chat_logprob(const NewToken& token, const Tokenizer& tokenizer) {
  Json entry = token_entry(tokenizer, token.token, token.logprob);
  Json top = Json::array();
  for (const TokenLogprob& other : token.top)
    top.push_back(token_entry(tokenizer, other.token, other.logprob));
  entry["top_logprobs"] = std::move(top);
  return entry;
}

Json openai_usage(const GenerationUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.new_tokens},
          {"total_tokens", usage.prompt_tokens + usage.new_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"completion_tokens_details", {{"reasoning_tokens", usage.thinking_tokens}}}};
}

OpenAiWriter::OpenAiWriter(std::shared_ptr<ApiReply> reply, OpenAiForm form)
    : reply_(std::move(reply)), form_(std::move(form)) {
  const int64_t count = std::ssize(form_.prompts) * form_.fields.n;
  for (int64_t i = 0; i < count; ++i)
    choices_.push_back({.index = i, .id = new_id("").substr(1), .tokens = {}, .result = {}});
}

Json OpenAiWriter::frame(bool chunk) const {
  return {{"id", form_.id},
          {"object", object(chunk)},
          {"created", form_.created},
          {"model", form_.model->name()},
          {"choices", Json::array()}};
}

// What was asked for beside the text, of the tokens behind the last piece.
void OpenAiWriter::add_details(Choice& choice, Json& to) {
  std::vector<NewToken> tokens = std::exchange(choice.tokens, {});
  if (form_.fields.return_token_ids) to["token_ids"] = ids_of(tokens);
  to["logprobs"] = form_.logprobs ? logprobs(std::move(tokens), choice) : Json();
}

void OpenAiWriter::send(Choice& choice, Json keys, Json reason) {
  Json chunk = frame(/*chunk=*/true);
  Json one = {{"index", choice.index}};
  one.update(keys);
  add_details(choice, one);
  one["finish_reason"] = std::move(reason);
  chunk["choices"].push_back(std::move(one));
  reply_->event(chunk);
}

void OpenAiWriter::begin(Choice& choice) {
  if (std::exchange(choice.begun, true)) return;
  Json keys = begin_choice();
  if (keys.is_null()) return;
  Json chunk = frame(/*chunk=*/true);
  Json one = {{"index", choice.index}};
  one.update(keys);
  one["logprobs"] = nullptr;
  one["finish_reason"] = nullptr;
  chunk["choices"].push_back(std::move(one));
  if (form_.fields.return_token_ids && choice.index == 0)
    chunk["prompt_token_ids"] = form_.prompts.front();
  reply_->event(chunk);
}

void OpenAiWriter::token(const AnswerToken& token) {
  Choice& choice = choices_[static_cast<size_t>(token.answer)];
  if (form_.logprobs || form_.fields.return_token_ids) choice.tokens.push_back(token.token);
  if (!form_.fields.stream) return;
  begin(choice);
  if (!token.parts.empty()) send(choice, piece(choice, token.parts), nullptr);
}

void OpenAiWriter::end(const AnswerEnd& end) {
  Choice& choice = choices_[static_cast<size_t>(end.answer)];
  if (form_.fields.stream) {
    begin(choice);
    if (!end.parts.empty()) send(choice, piece(choice, end.parts), nullptr);
    return send(choice, piece(choice, {}), reason(end));
  }
  choice.result = {{"index", choice.index}};
  choice.result.update(whole(choice, *end.message));
  add_details(choice, choice.result);
  choice.result["finish_reason"] = reason(end);
}

void OpenAiWriter::done(const GenerationUsage& usage) {
  const auto add_usage = [&](Json& to) {
    to["usage"] = openai_usage(usage);
    to["seed"] = form_.fields.sampling.seed;
  };
  if (form_.fields.stream) {
    if (form_.fields.include_usage) {
      Json last = frame(/*chunk=*/true);
      add_usage(last);
      reply_->event(last);
    }
    return reply_->done("[DONE]");
  }
  Json all = frame(/*chunk=*/false);
  for (Choice& choice : choices_) all["choices"].push_back(std::move(choice.result));
  add_usage(all);
  if (form_.fields.return_token_ids)
    all["prompt_token_ids"] =
        form_.prompts.size() == 1 ? Json(form_.prompts.front()) : Json(form_.prompts);
  complete(all);
  reply_->json(all);
}

void OpenAiWriter::fail(const ApiError& error) { reply_->error(error); }

}  // namespace lathe
