// A tokenizer's chat template: conversations to text, as `apply_chat_template` of transformers 5.23
// does it, and which part of the text the assistant wrote.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/jinja/template.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

class ChatTemplate {
 public:
  // What stands at a tokenizer's place: in a folder (or beside a file) chat_template.jinja and
  // additional_chat_templates/NAME.jinja, else `chat_template` in tokenizer_config.json; in a GGUF
  // file `tokenizer.chat_template`. The names bos_token, eos_token … come from tokenizer_config.json,
  // special_tokens_map.json or the GGUF file. `instead`, if given, is the template's text.
  // Throws kFormat for what is no template, and kUsage, saying where it looked, if there is none.
  static ChatTemplate load(const std::string& tokenizer_path,
                           const std::optional<std::string>& instead = std::nullopt);
  static bool exists(const std::string& tokenizer_path);

  // Of `text` alone, with the variables that stand for special tokens.
  ChatTemplate(std::string_view text, std::string_view name, nlohmann::ordered_json special_tokens);

  struct Rendering {
    std::string text;
    // Bytes that the assistant wrote; nullopt where that is not known: the template has no
    // {% generation %}, and what it writes up to a turn is not where the whole text begins.
    std::optional<std::vector<jinja::TextSpan>> assistant;
  };
  // `conversation` is an object: `messages`, and, if wanted, `tools`, `documents`,
  // `add_generation_prompt` and whatever else the template asks for. Keys of a message that are null
  // are left out; `thinking` and `reasoning` are names for `reasoning_content`. Throws kData, saying
  // what is wrong with the conversation or what the template refuses.
  Rendering render(const nlohmann::ordered_json& conversation) const;
  // The text alone, which costs one rendering instead of two for each turn.
  std::string text(const nlohmann::ordered_json& conversation) const;
  // Whether these letters stand in the source of one of the templates.
  bool mentions(std::string_view letters) const;
  // All that its texts follow from, as JSON: the special tokens, and names and sources of the templates.
  std::string sources() const;

 private:
  struct Named {
    std::string name;
    jinja::Template parsed;
  };
  ChatTemplate() = default;
  std::vector<std::string> names_of_templates() const;
  const jinja::Template& template_for(const nlohmann::ordered_json& tools) const;
  nlohmann::ordered_json variables(const nlohmann::ordered_json& conversation) const;
  std::optional<std::vector<jinja::TextSpan>> turns(const jinja::Template& used,
                                                    const nlohmann::ordered_json& all,
                                                    std::string_view whole) const;

  std::vector<Named> templates_;
  nlohmann::ordered_json special_tokens_ = nlohmann::ordered_json::object();
};

// For each token of `rendering.text`, whether it shares a character with what the assistant wrote.
struct EncodedChat {
  std::vector<int32_t> ids;                            // special tokens recognised, none added
  std::optional<std::vector<uint8_t>> assistant_mask;  // as Rendering::assistant
};
EncodedChat encode_chat(const Tokenizer& tokenizer, const ChatTemplate::Rendering& rendering);

}  // namespace lathe
