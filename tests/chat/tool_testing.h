// A tokenizer of bytes with marks of calls and thoughts, and chat templates of the shapes that models have.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lathe/text/chat_template.h"
#include "lathe/text/chat_tokens.h"
#include "lathe/text/train/bpe_trainer.h"

namespace lathe::testing {

// One token a byte; <end> and <role> are special, as are the marks that begin with "<|"; others are words of the text.
inline Tokenizer tool_tokenizer_of(std::string_view sample, int64_t pieces) {
  BpeTrainOptions options;
  options.vocab_size = 258 + pieces;
  options.special_tokens = {"<end>", "<role>"};
  const std::string_view texts[] = {sample};
  const Tokenizer bytes = train_bpe(texts, options).tokenizer;
  std::vector<TokenToAdd> more;
  for (const char* text : {"<tool_call>", "</tool_call>", "<think>", "</think>"})
    more.push_back({text, false});
  for (const char* text : {"<|calls|>", "<|call|>", "<|sep|>", "<|/call|>", "<|/calls|>"})
    more.push_back({text, true});
  return add_tokens(bytes, more, 0).tokenizer;
}
inline const Tokenizer& tool_tokenizer() {
  static const Tokenizer tokenizer = tool_tokenizer_of("a", 0);
  return tokenizer;
}

inline int32_t id_of(std::string_view token) { return *tool_tokenizer().id_of(token); }
inline std::vector<int32_t> tool_ends() { return {id_of("<end>")}; }

// What stands around the calls: a system message with the tools, turns, and where an answer begins.
inline ChatTemplate tool_template(const std::string& calls, const std::string& prompt = "") {
  return ChatTemplate(
      "{%- if tools %}<role>tools {{ tools | tojson }}<end>{% endif -%}"
      "{%- for m in messages -%}"
      "<role>{{ m.role }}:"
      "{%- if m.role == 'assistant' %}" +
          prompt +
          "{% endif -%}"
          "{%- if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif -%}"
          "{{ m.content }}"
          "{%- if m.tool_calls %}" +
          calls +
          "{% endif -%}"
          "<end>\n"
          "{%- endfor -%}"
          "{%- if add_generation_prompt %}<role>assistant:" +
          prompt + "{% endif -%}",
      "t", nlohmann::ordered_json::object());
}

inline const std::string kHermes =
    "{%- for c in m.tool_calls %}{% if not loop.first %}{{ '\n' }}{% endif -%}"
    "<tool_call>\n{\"name\": \"{{ c.function.name }}\", \"arguments\": "
    "{{ c.function.arguments | tojson }}}\n</tool_call>{% endfor -%}";
inline const std::string kMistral =
    "[TOOL_CALLS][{%- for c in m.tool_calls %}{{ '{' }}\"name\": \"{{ c.function.name }}\", "
    "\"arguments\": {{ c.function.arguments | tojson }}, \"id\": \"{{ c.id }}\"{{ '}' }}"
    "{% if not loop.last %}, {% endif %}{% endfor -%}]";
inline const std::string kLlama =
    "{%- if m.tool_calls | length != 1 %}{{ raise_exception('one call at a time') }}{% endif -%}"
    "{{ '{' }}\"name\": \"{{ m.tool_calls[0].function.name }}\", \"parameters\": "
    "{{ m.tool_calls[0].function.arguments | tojson }}{{ '}' }}";
inline const std::string kDeepseek =
    "<|calls|>{%- for c in m.tool_calls %}<|call|>function<|sep|>{{ c.function.name }}\n```json\n"
    "{{ '' + c.function.arguments }}\n```<|/call|>{% if not loop.last %}{{ '\n' }}{% endif %}{% endfor -%}"
    "<|/calls|>";
inline const std::string kPerArgument =
    "{%- for c in m.tool_calls %}<function={{ c.function.name }}>\n"
    "{%- for k, v in c.function.arguments.items() %}<parameter={{ k }}>{{ v }}</parameter>"
    "{% endfor %}</function>{% endfor -%}";

inline nlohmann::ordered_json weather_tools() {
  return nlohmann::ordered_json::parse(R"([
{"type": "function", "function": {"name": "get_weather", "description": "of a town", "parameters":
  {"type": "object", "properties": {"town": {"type": "string", "maxLength": 8},
   "days": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["town"],
   "additionalProperties": false}}},
{"type": "function", "function": {"name": "now"}}])");
}

}  // namespace lathe::testing
