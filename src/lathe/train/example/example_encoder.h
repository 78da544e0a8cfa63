// Rows of words to examples: through the tokenizer, and the chat template for messages.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/text/chat_template.h"
#include "lathe/text/tokenizer.h"
#include "lathe/train/example/example.h"
#include "lathe/train/example/word_row.h"

namespace lathe {

// A text has a character for which the tokenizer has no token.
class NotEncodable : public Error {
 public:
  using Error::Error;
};

struct EncodingOptions {
  bool encoder = false;       // the prompt is an encoder's text
  bool mask_history = false;  // of a conversation only the last answer is learnt
  bool prompts = false;       // a conversation is a prompt
  std::optional<int64_t> eos_token_id = {};
  std::optional<std::string> step_separator =
      {};  // texts are the steps of one answer, with this behind each
};

// Const members are thread-safe.
class ExampleEncoder {
 public:
  // `folder`: a tokenizer, and the template beside it if there is one. Errors: kIo, kFormat.
  ExampleEncoder(const std::string& folder, const EncodingOptions& options);

  // A text's prompt and answer are encoded apart, and the end-of-text token follows the answer. A
  // conversation is one example, in which what the assistant wrote is learnt (ChatTemplate::render());
  // where a template writes earlier turns differently in a longer conversation, or with an encoder,
  // each turn is one. Answers to a prompt of messages are what the template writes behind that prompt
  // with add_generation_prompt; of a single answer, what it says the assistant wrote.
  // Errors: kData, naming `place`, NotEncodable among them; kUsage for messages where there is no template.
  std::vector<Example> encode(const WordRow& row, const std::string& place) const;

 private:
  std::vector<int32_t> ids_of(std::string_view text, const EncodeOptions& options = {}) const;
  Example of_texts(const WordRow& row) const;
  Example of_steps(const WordRow& row) const;
  std::vector<Example> of_conversation(const nlohmann::ordered_json& conversation) const;
  std::vector<Example> of_turns(const nlohmann::ordered_json& conversation) const;
  Example of_answers(const WordRow& row) const;
  Answer behind(const std::string& prompt, const std::vector<int32_t>& prompt_ids,
                const ChatTemplate::Rendering& whole, bool marked) const;

  std::string folder_;
  EncodingOptions options_;
  Tokenizer tokenizer_;
  std::optional<ChatTemplate> template_;
};

}  // namespace lathe
