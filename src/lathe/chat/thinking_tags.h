// Between which tags a model thinks: found by rendering its chat template with a thought.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "lathe/infer/thinking.h"
#include "lathe/text/chat_template.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

struct ThinkingTags {
  int32_t open = -1, close = -1;
  std::vector<int32_t> ending;  // with what the template writes around the closing tag
  // Whether an answer begins with `open`, or the prompt has it. Otherwise blanks come first, and a
  // budget does not act: the engine takes the first token for that of an answer.
  bool at_once = true;

  // For a request with this prompt: a thought is open if the last tag in it opens one.
  Thinking in(std::span<const int32_t> prompt, std::optional<int64_t> budget) const;
};

// Tags that are tokens, around the `reasoning_content` of a message; of a template that drops it, two
// added tokens such as <think> and </think> that it mentions. nullopt if there are none, and where
// several tokens begin a thought (<|channel|>analysis<|message|>).
std::optional<ThinkingTags> thinking_tags(const ChatTemplate& chat_template,
                                          const Tokenizer& tokenizer);

}  // namespace lathe
