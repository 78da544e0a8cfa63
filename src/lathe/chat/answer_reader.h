// A model's answer taken apart as it comes, token by token: thought, text, and calls of tools.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/chat/thinking_tags.h"
#include "lathe/chat/tool_call_syntax.h"

namespace lathe {

struct ToolCall {
  std::string name, arguments;  // a JSON object as the model wrote it
  std::string id = {};          // if the syntax has one
};

// What has become certain. Of a call first the name, then the arguments in pieces.
struct AnswerPart {
  enum class Kind : uint8_t { kThought, kText, kCallName, kCallArguments };
  Kind kind = Kind::kText;
  std::string text;
  size_t call = 0;  // its index
};

struct ChatMessage {
  std::string content, reasoning_content;
  std::vector<ToolCall> tool_calls;
  // {"role": "assistant", "content", "reasoning_content" and "tool_calls" if there are any}: as an
  // earlier turn of the conversation, without a call that was cut. `arguments_are_text` as in
  // ToolCallSyntax.
  nlohmann::ordered_json as_turn(bool arguments_are_text) const;
};

// Blanks at the ends of thoughts and between text and calls belong to the template and are left out.
// What only begins like a call is text; what goes on otherwise than the syntax is text from the call's
// beginning on, unless its name was read: then the call ends there. Not thread-safe; everything given
// must outlive it.
class AnswerReader {
 public:
  struct Format {
    const ToolCallSyntax* calls = nullptr;   // null: no calls are looked for
    const ThinkingTags* thinking = nullptr;  // null: no thoughts
    bool opened = false;                     // the prompt ends within a thought
    std::vector<std::string> stop = {};      // strings that end the text
  };
  AnswerReader(const Tokenizer& tokenizer, Format format);

  // Takes the next token and appends what it makes certain; false when a stop string ends the answer.
  bool push(int32_t token, std::vector<AnswerPart>& out);
  // Appends the rest.
  void finish(std::vector<AnswerPart>& out);
  const ChatMessage& message() const { return message_; }
  // The one that ended the answer; empty if none has.
  const std::string& stop_string() const { return stop_string_; }
  bool thinking() const { return phase_ == Phase::kThought; }

 private:
  enum class Phase : uint8_t { kThought, kText, kCalls, kStopped };
  enum class InCall : uint8_t { kOpen, kName, kArguments, kBehind };
  void begin(Phase phase);
  bool take_tag(int32_t token);
  void read_thought(bool whole);
  void read_text(bool whole);
  void read_calls(bool whole);
  bool read_name();
  bool read_arguments();
  bool read_behind(bool whole);
  void begin_call(size_t size);
  void leave_calls();
  size_t uncertain() const;
  void give(AnswerPart::Kind kind, std::string_view text);
  void give_id(bool of_next_call, const MarkMatch& found);

  const Tokenizer& tokenizer_;
  Format format_;
  std::optional<ToolCallSyntax::Trigger> trigger_;
  MarkedText open_;  // of the syntax, without blanks before it
  std::vector<int32_t> marks_;
  StreamDecoder decoder_;
  Phase phase_;
  bool skips_blanks_;    // at the beginning of a thought and behind one
  std::string waiting_;  // what is not certain yet; of calls with marks as tokens
  InCall in_call_ = InCall::kOpen;
  size_t depth_ = 0;  // of brackets in the arguments
  bool in_string_ = false, escaped_ = false;
  std::string opening_;  // of a call whose name was not read yet
  std::string next_id_;
  ChatMessage message_;
  std::string stop_string_;
  std::vector<AnswerPart>* out_ = nullptr;
};

}  // namespace lathe
