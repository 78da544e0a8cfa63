// A conversation with one model: turns in, answers out, through an engine that remembers what it has
// read, so that each turn only costs its new tokens.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "lathe/infer/engine.h"
#include "lathe/infer/speculation/speculation.h"
#include "lathe/text/chat_template.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

// What was said: messages as a chat template takes them.
class Conversation {
 public:
  // Replaces the system message; empty removes it.
  void set_system(std::string_view text);
  void add_user(std::string_view text);
  void add_assistant(std::string_view text);
  // Takes the last question and its answer back; false if there is none.
  bool undo();
  // Takes the last answer back and leaves its question; false if there is none.
  bool take_back_answer();
  bool waits_for_answer() const;

  const nlohmann::ordered_json& messages() const { return messages_; }

 private:
  nlohmann::ordered_json messages_ = nlohmann::ordered_json::array();
};

struct ChatAnswer {
  std::string text;
  FinishReason reason = FinishReason::kStopToken;
  int64_t prompt_tokens = 0, cached_tokens = 0, new_tokens = 0;
  int64_t passes = 0;                               // behind the first token
  int64_t guessed_tokens = 0, accepted_tokens = 0;  // speculation
  double first_token_seconds = 0;                   // until the first token
  double seconds = 0;                               // from the first token to the last
};

// Used by one thread. Everything given must outlive it.
class ChatSession {
 public:
  // The cache holds `context` tokens, or as many as the model's positions allow if that is less.
  ChatSession(const Transformer& model, const Tokenizer& tokenizer,
              const ChatTemplate& chat_template, GenerationConfig config, int64_t context,
              const Adaptation& adaptation = {}, const Speculation& speculation = {});

  // The answer to the last message. `on_text` gets its parts as they are certain; once
  // `should_stop` says so, the answer ends there. Errors: kData for a conversation that is too long
  // or that the template refuses, and those of the model and the samplers.
  ChatAnswer answer(const Conversation& conversation,
                    const std::function<void(std::string_view)>& on_text,
                    const std::function<bool()>& should_stop);

  std::string description() const { return engine_.description(); }

 private:
  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
  GenerationConfig config_;
  Engine engine_;
  std::vector<std::string> adapters_;
  std::optional<Steering> steering_;
};

}  // namespace lathe
