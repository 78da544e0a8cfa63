// Grammars of answers that may call tools: in the syntax of the model's chat template, with arguments
// that are valid by the tool's JSON Schema.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "lathe/chat/tool_call_syntax.h"
#include "lathe/constraint/grammar.h"

namespace lathe {

// OpenAI's `tool_choice` and `parallel_tool_calls`.
struct ToolChoice {
  enum class Kind : uint8_t {
    kNone,      // text; the tools are only shown
    kAuto,      // text, or calls
    kRequired,  // calls
    kNamed,     // a call of the tool `name`
  };
  Kind kind = Kind::kAuto;
  std::string name = {};
  bool parallel = true;  // several calls in one answer, if the template has them
};

// "none", "auto", "required" or {"type": "function", "function": {"name": …}}. Throws kConfig, naming
// the key, for anything else.
ToolChoice tool_choice_of(const nlohmann::ordered_json& value, bool parallel = true);

// What an answer may be; nullopt if it may be anything. `tools` is OpenAI's list: {"type": "function",
// "function": {"name", "description", "parameters"}}; without `parameters` a tool has none. In a free
// answer the syntax holds from the first mark of a call on. Throws kConfig, naming the tool and the
// place in its schema, and for a free answer of a model whose plain answers have marks.
std::optional<constraint::Grammar> tool_call_grammar(const ToolCallSyntax& syntax,
                                                     const nlohmann::ordered_json& tools,
                                                     const ToolChoice& choice);

}  // namespace lathe
