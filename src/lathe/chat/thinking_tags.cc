#include "lathe/chat/thinking_tags.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/chat/marked_text.h"
#include "lathe/chat/probe_answer.h"
#include "lathe/chat/token_vocabulary.h"
#include "lathe/constraint/grammar.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// What a template writes before a thought, and between it and the answer; `opening` is the end of the
// first that the prompt does not have, empty where it begins otherwise.
struct Around {
  std::string before, opening, between;
};

std::optional<Around> around_a_thought(const ChatTemplate& chat_template) {
  constexpr std::string_view kThought = "a probing thought", kAnswer = "a probing answer";
  std::string text, prompt;
  try {
    text = render_probe(
        chat_template,
        {{"role", "assistant"}, {"content", kAnswer}, {"reasoning_content", kThought}}, nullptr);
    prompt = place_of_answer(chat_template, nullptr, "thinking").prompt;
  } catch (const Error&) {
    return std::nullopt;  // the template refuses the conversation; what it mentions may help
  }
  const size_t thought = text.rfind(kThought), answer = text.rfind(kAnswer);
  if (thought == std::string::npos || answer == std::string::npos || thought > answer)
    return std::nullopt;
  const size_t end = thought + kThought.size();
  Around around{text.substr(0, thought), {}, text.substr(end, answer - end)};
  if (around.before.starts_with(prompt)) around.opening = around.before.substr(prompt.size());
  return around;
}

std::optional<ThinkingTags> tags_around(const Around& around, const Tokenizer& tokenizer) {
  const std::vector<int32_t> before = marked_text(tokenizer, around.before).tokens();
  const MarkedText between = marked_text(tokenizer, around.between);
  if (before.empty() || between.empty() || between.tokens().empty()) return std::nullopt;
  ThinkingTags tags{.open = before.back(), .close = between.tokens().front(), .ending = {}};
  if (tags.open == tags.close) return std::nullopt;
  tags.ending = token_vocabulary(tokenizer, {}, between.tokens())->encode(between.bytes);
  if (tags.ending.empty()) tags.ending = {tags.close};
  return tags;
}

// <think> and </think>, [THINK] and [/THINK]: tokens that are a tag and the same with a slash.
std::optional<ThinkingTags> tags_of_vocabulary(const ChatTemplate& chat_template,
                                               const Tokenizer& tokenizer) {
  for (const AddedToken& token : tokenizer.added_tokens()) {
    const std::string& open = token.content;
    std::string lower = open;
    std::ranges::transform(lower, lower.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    if (lower.find("think") == std::string::npos || open.size() < 2 ||
        !chat_template.mentions(open))
      continue;
    const auto close = tokenizer.id_of(open.substr(0, 1) + "/" + open.substr(1));
    if (close) return ThinkingTags{.open = token.id, .close = *close, .ending = {*close}};
  }
  return std::nullopt;
}

}  // namespace

Thinking ThinkingTags::in(std::span<const int32_t> prompt, std::optional<int64_t> budget) const {
  const auto last = std::find_if(prompt.rbegin(), prompt.rend(),
                                 [&](int32_t id) { return id == open || id == close; });
  return {.open = open,
          .close = close,
          .ending = ending,
          .budget = budget,
          .opened = last != prompt.rend() && *last == open};
}

std::optional<ThinkingTags> thinking_tags(const ChatTemplate& chat_template,
                                          const Tokenizer& tokenizer) {
  const auto around = around_a_thought(chat_template);
  auto tags = around ? tags_around(*around, tokenizer) : std::nullopt;
  if (!tags) tags = tags_of_vocabulary(chat_template, tokenizer);
  if (!tags || !around) return tags;
  const std::string opening = marked_text(tokenizer, around->opening).bytes;
  const size_t begin = std::min(opening.find_first_not_of(" \n\t\r"), opening.size());
  if (begin == opening.size()) return tags;  // the prompt has the tag
  if (!opening.substr(begin).starts_with(constraint::token_as_bytes(tags->open)))
    return std::nullopt;  // it is the last of several tokens
  tags->at_once = begin == 0;
  return tags;
}

}  // namespace lathe
