// What answers of /v1/chat/completions and /v1/completions have in common: choices, whole or in pieces, with usage.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lathe/serve/api/endpoint.h"
#include "lathe/serve/api/text_fields.h"

namespace lathe {

struct OpenAiForm {
  std::string id;
  const ServedModel* model = nullptr;
  TextFields fields = {};
  bool logprobs = false;
  std::vector<std::vector<int32_t>> prompts = {};
  int64_t created = unix_seconds();
};

class OpenAiWriter : public AnswerWriter {
 public:
  OpenAiWriter(std::shared_ptr<ApiReply> reply, OpenAiForm form);

  void token(const AnswerToken& token) final;
  void end(const AnswerEnd& end) final;
  void done(const GenerationUsage& usage) final;
  void fail(const ApiError& error) final;

 protected:
  using Json = nlohmann::ordered_json;
  struct Choice {
    int64_t index = 0;
    std::string id;                // a part of names that must differ between answers
    std::vector<NewToken> tokens;  // of a stream, behind the last piece
    int64_t text_characters = 0;   // of the tokens whose log-probabilities were sent
    bool begun = false;            // its first piece was sent
    bool echoed = false;           // and what stands before the answer
    Json result;                   // the whole of it
  };
  const OpenAiForm& form() const { return form_; }

  virtual std::string_view object(bool chunk) const = 0;
  // The log-probabilities of these tokens, as the interface has them.
  virtual Json logprobs(std::vector<NewToken> tokens, Choice& choice) const = 0;
  // Keys of a choice: of a stream's first piece (null: it has none), of a piece with text, and of the whole.
  virtual Json begin_choice() const = 0;
  virtual Json piece(Choice& choice, const std::vector<AnswerPart>& parts) const = 0;
  virtual Json whole(const Choice& choice, const ChatMessage& said) const = 0;
  virtual std::string reason(const AnswerEnd& end) const { return std::string(end.reason); }
  // Called before the whole is sent.
  virtual void complete(Json&) const {}

 private:
  void send(Choice& choice, Json keys, Json reason);
  void begin(Choice& choice);
  void add_details(Choice& choice, Json& to);
  Json frame(bool chunk) const;

  std::shared_ptr<ApiReply> reply_;
  OpenAiForm form_;
  std::vector<Choice> choices_;
};

// {"token", "logprob", "bytes", "top_logprobs"}
nlohmann::ordered_json chat_logprob(const NewToken& token, const Tokenizer& tokenizer);
// The text of a token, with U+FFFD for bytes that are not UTF-8.
std::string token_text(const Tokenizer& tokenizer, int32_t token);
nlohmann::ordered_json openai_usage(const GenerationUsage& usage);

}  // namespace lathe
