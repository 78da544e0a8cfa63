// POST /v1/completions: texts that are continued.
#include <utility>

#include "lathe/base/utf8.h"
#include "lathe/infer/text_likelihood.h"
#include "lathe/serve/api/endpoints.h"
#include "lathe/serve/api/openai_form.h"
#include "lathe/serve/api/prompt_list.h"
#include "lathe/serve/api/text_fields.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct CompletionFields : TextFields {
  bool echo = false;
  std::optional<int64_t> logprobs;
  void visit(Visitor& v) {
    TextFields::visit(v);
    v.field("echo", echo, "the answer begins with the prompt");
    v.field("logprobs", logprobs,
            "the log-probability of each token, and of so many of the most likely ones",
            between(0, 20));
  }
};

// What an answer with `echo` begins with.
struct Echo {
  std::string text;
  std::vector<int32_t> ids = {};
  std::vector<float> logprobs = {};  // of all ids but the first
};

// {"tokens", "token_logprobs", "top_logprobs", "text_offset"}: lists, an entry for each token.
class CompletionWriter : public OpenAiWriter {
 public:
  // `echoes`: by prompt; empty without.
  CompletionWriter(std::shared_ptr<ApiReply> reply, OpenAiForm form, std::vector<Echo> echoes)
      : OpenAiWriter(std::move(reply), std::move(form)), echoes_(std::move(echoes)) {}

 private:
  std::string_view object(bool) const override { return "text_completion"; }

  Json logprobs(std::vector<NewToken> tokens, Choice& choice) const override {
    const Tokenizer& tokenizer = form().model->tokenizer();
    Json lists = {{"tokens", Json::array()},
                  {"token_logprobs", Json::array()},
                  {"top_logprobs", Json::array()},
                  {"text_offset", Json::array()}};
    const auto add = [&](int32_t token, Json logprob, Json top) {
      const std::string text = token_text(tokenizer, token);
      lists["tokens"].push_back(text);
      lists["token_logprobs"].push_back(std::move(logprob));
      lists["top_logprobs"].push_back(std::move(top));
      lists["text_offset"].push_back(choice.text_characters);
      choice.text_characters += count_characters(text);
    };
    if (choice.text_characters == 0 && !echoes_.empty()) {
      const Echo& echo = echo_of(choice);
      for (size_t i = 0; i < echo.ids.size(); ++i)
        add(echo.ids[i], i == 0 ? Json() : Json(echo.logprobs[i - 1]), nullptr);
    }
    for (const NewToken& token : tokens) {
      Json top = Json::object();
      for (const TokenLogprob& other : token.top)
        top[token_text(tokenizer, other.token)] = other.logprob;
      add(token.token, token.logprob, std::move(top));
    }
    return lists;
  }

  Json begin_choice() const override { return nullptr; }

  Json piece(Choice& choice, const std::vector<AnswerPart>& parts) const override {
    std::string text =
        std::exchange(choice.echoed, true) || echoes_.empty() ? "" : echo_of(choice).text;
    for (const AnswerPart& part : parts) text += part.text;
    return {{"text", std::move(text)}};
  }

  Json whole(const Choice& choice, const ChatMessage& said) const override {
    return {{"text", (echoes_.empty() ? "" : echo_of(choice).text) + said.content}};
  }

  const Echo& echo_of(const Choice& choice) const {
    return echoes_[static_cast<size_t>(choice.index / form().fields.n)];
  }

  std::vector<Echo> echoes_;
};

// With log-probabilities a prompt is computed twice, once for them: the engine gives those of new tokens.
std::vector<Echo> echoes_of(const PromptList& prompts, const ServedModel& model, bool logprobs) {
  std::vector<Echo> out;
  for (size_t i = 0; i < prompts.ids.size(); ++i) out.push_back({prompts.texts[i], prompts.ids[i]});
  for (Echo& echo : out) {
    if (!logprobs || echo.ids.size() < 2) continue;
    TextLikelihoods likelihoods(model.model(), {.cache_tokens = std::ssize(echo.ids)});
    const ScoredText text{.tokens = echo.ids};
    echo.logprobs = likelihoods.of(std::span(&text, 1)).front().logprobs;
  }
  return out;
}

}  // namespace

void completions(ApiContext& context, const ApiCall& call) {
  RequestFields fields(call.request.body);
  ServedModel& model = model_of(context, fields);
  fields.expect("best_of", std::vector<Json>{1}, "ask for n answers and choose among them");
  fields.expect("suffix", std::vector<Json>{""}, "the model is asked to continue only");
  const PromptList prompts = read_prompts(fields, "prompt", model);
  CompletionFields f;
  read_text_fields(f, fields, model);
  GenerationRequest request = f.request(model, prompts.ids, "prompt");
  if (f.logprobs) request.logprobs = *f.logprobs;
  if (auto grammar = f.constraint_grammar())
    request.constraint = constraint_of(std::move(*grammar), model);
  note_ignored(call, fields);

  OpenAiForm form{
      .id = new_id("cmpl"), .model = &model, .fields = f, .logprobs = f.logprobs.has_value()};
  form.prompts = request.prompts;
  const std::string id = form.id;
  answer(context, call, id, model, std::move(request),
         std::make_unique<CompletionWriter>(
             call.reply, std::move(form),
             f.echo ? echoes_of(prompts, model, f.logprobs.has_value()) : std::vector<Echo>()));
}

}  // namespace lathe
