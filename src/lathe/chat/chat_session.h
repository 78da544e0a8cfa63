// A conversation with one model: turns in, answers out, through an engine that remembers what it has
// read, so that each turn only costs its new tokens.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "lathe/chat/answer_reader.h"
#include "lathe/chat/tool_call_grammar.h"
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
  void add_answer(nlohmann::ordered_json turn) { messages_.push_back(std::move(turn)); }
  // What a tool gave back for the first call that still waits for it; false if none does.
  bool add_tool_result(std::string_view text);
  // Takes the last question and all behind it back; false if there is none.
  bool undo();
  // Takes the last answer back and leaves its question; false if there is none.
  bool take_back_answer();
  bool waits_for_answer() const;  // no call waits for its tool

  const nlohmann::ordered_json& messages() const { return messages_; }

 private:
  const nlohmann::ordered_json* waiting_call() const;
  nlohmann::ordered_json messages_ = nlohmann::ordered_json::array();
};

struct ChatAnswer {
  ChatMessage message;
  nlohmann::ordered_json turn = {};  // the same for the conversation
  FinishReason reason = FinishReason::kStopToken;
  int64_t prompt_tokens = 0, cached_tokens = 0, new_tokens = 0;
  int64_t thinking_tokens = 0;
  int64_t passes = 0;                               // behind the first token
  int64_t guessed_tokens = 0, accepted_tokens = 0;  // speculation
  double first_token_seconds = 0;                   // until the first token
  double seconds = 0;                               // from the first token to the last
};

// What a chat may do beside writing text.
struct ChatAbilities {
  nlohmann::ordered_json tools = nullptr;  // OpenAI's list, or null
  ToolChoice tool_choice = {};
  std::optional<int64_t> thinking_budget = {};  // tokens
  std::optional<Streaming> streaming = {};      // of conversations, as in EngineOptions
};

// The memory of a chat.
struct ChatMemory {
  int64_t context = 4096;                     // tokens that the cache holds
  std::optional<DType> cache_precision = {};  // as in EngineOptions
};

// What whoever reads an answer wants while it is written.
enum class ChatWish : uint8_t { kGoOn, kThinkNoMore, kStop };

// Used by one thread. Everything given must outlive it.
class ChatSession {
 public:
  // The cache holds fewer tokens where the model's positions allow fewer; a conversation that is
  // streamed may be longer. Errors:
  // kData, kConfig and kUsage for abilities that the template or the model does not have.
  ChatSession(const Transformer& model, const Tokenizer& tokenizer,
              const ChatTemplate& chat_template, GenerationConfig config, const ChatMemory& memory,
              const Adaptation& adaptation = {}, const Speculation& speculation = {},
              ChatAbilities abilities = {});

  // The answer to the last message. `on_part` gets its parts as they are certain; `wish`, asked at
  // each token whether the model is thinking, may end the thought or the answer there. What a tool
  // gave back is answered freely, whatever the tool choice. Errors: kData for a conversation that is
  // too long or that the template refuses, and those of the model and the samplers.
  ChatAnswer answer(const Conversation& conversation,
                    const std::function<void(const AnswerPart&)>& on_part,
                    const std::function<ChatWish(bool thinking)>& wish);

  std::string description() const { return engine_.description(); }

 private:
  // With the engine's options, which are found by asking the model.
  ChatSession(const Transformer& model, const Tokenizer& tokenizer,
              const ChatTemplate& chat_template, GenerationConfig config,
              const EngineOptions& options, const Adaptation& adaptation,
              const Speculation& speculation, ChatAbilities abilities);
  void require_taken() const;
  void prepare_tools(std::span<const int32_t> ends);
  Request request_for(const Conversation& conversation);

  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
  GenerationConfig config_;
  Engine engine_;
  std::vector<std::string> adapters_;
  std::optional<Steering> steering_;
  ChatAbilities abilities_;
  std::optional<ThinkingTags> thinking_;
  std::optional<ToolCallSyntax> calls_;
  std::shared_ptr<const Constraint> constraint_;
};

}  // namespace lathe
