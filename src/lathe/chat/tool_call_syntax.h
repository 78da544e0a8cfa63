// How a model writes calls of tools. It is found by rendering the model's chat template, not by the
// model's name: the template shows it conversations with calls, and those are what it has learned.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "lathe/chat/marked_text.h"
#include "lathe/text/chat_template.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

// An answer with calls is
//   open NAME middle ARGUMENTS (next NAME middle ARGUMENTS)* close
// where ARGUMENTS is a JSON object. Hermes and Qwen: open `<tool_call>\n{"name": "`, middle
// `", "arguments": `, next `}\n</tool_call>\n<tool_call>\n{"name": "`, close `}\n</tool_call>`.
struct ToolCallSyntax {
  MarkedText open, middle, close;
  std::optional<MarkedText> next;   // nullopt: a message has one call
  bool arguments_are_text = false;  // what the template wants of earlier calls: JSON as a text

  // A plain answer begins with tokens of its own (channels), so that a free answer cannot be held to this.
  bool marks_plain_answers = false;

  // What a free answer that turns into calls shows first: a token, or letters up to a blank.
  struct Trigger {
    MarkedText text;
    MarkedText rest;  // of `open`, behind it
    bool only_first =
        false;  // it looks like JSON, so that only the beginning of an answer is a call
  };
  Trigger trigger() const;
  // The tokens by themselves that stand in it: marks of the vocabulary (token_vocabulary.h).
  std::vector<int32_t> marks() const;
};

// `ends`: the ids that end an answer, which do not belong to a call. Throws kData, saying what is
// unusual, for a template that writes no calls, writes arguments otherwise than as one JSON object
// behind the name, or refuses the conversation.
ToolCallSyntax tool_call_syntax(const ChatTemplate& chat_template, const Tokenizer& tokenizer,
                                std::span<const int32_t> ends);

}  // namespace lathe
