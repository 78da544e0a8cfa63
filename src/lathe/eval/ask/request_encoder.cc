#include "lathe/eval/ask/request_encoder.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/text/jinja/characters.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "evaluation";

}  // namespace

RequestEncoder::RequestEncoder(const Tokenizer& tokenizer, RequestRules rules)
    : tokenizer_(tokenizer), rules_(std::move(rules)) {}

std::vector<int32_t> RequestEncoder::tokens_of(std::string_view text) const {
  const bool begun = !rules_.begin_text.empty() && text.starts_with(rules_.begin_text);
  return tokenizer_.encode(text, {.add_special_tokens = !begun});
}

EncodedRequest RequestEncoder::encode(std::string_view prompt,
                                      std::string_view continuation) const {
  const std::string_view context = jinja::strip_right(prompt);
  const std::string rest = std::string(prompt.substr(context.size())) + std::string(continuation);
  EncodedRequest request;
  std::vector<int32_t>& tokens = request.text.tokens;
  if (context.empty()) {
    tokens = tokenizer_.encode(rest);
    if (tokens.empty() || tokens.front() != rules_.prefix)
      tokens.insert(tokens.begin(), rules_.prefix);
    request.text.context = 1;
  } else {
    tokens = tokens_of(std::string(context) + rest);
    request.text.context = std::ssize(tokens_of(context));
  }
  const int64_t scored = std::ssize(tokens) - request.text.context;
  require(scored > 0, ErrorKind::kData, kWhere,
          "the continuation '{}' has no token of its own behind the prompt, so that nothing can be "
          "measured; change delimiter, or the choice",
          continuation.substr(0, 60));
  require(scored <= rules_.most_tokens, ErrorKind::kData, kWhere,
          "the continuation '{}…' has {} tokens, but the model reads at most {}",
          continuation.substr(0, 60), scored, rules_.most_tokens);
  const int64_t cut = std::ssize(tokens) - (rules_.most_tokens + 1);
  if (cut > 0) {
    request.truncated = true;
    tokens.erase(tokens.begin(), tokens.begin() + cut);
    request.text.context -= cut;
  }
  return request;
}

std::vector<ScoredText> RequestEncoder::windows(std::string_view text) const {
  std::vector<int32_t> all = tokens_of(text);
  require(!all.empty(), ErrorKind::kData, kWhere, "the text has no tokens");
  all.insert(all.begin(), rules_.prefix);
  const int64_t most = rules_.most_tokens;
  std::vector<ScoredText> windows;
  for (int64_t begin = 1, end = 0; begin < std::ssize(all); begin = end) {
    end = std::min(begin + most, std::ssize(all));
    // The prefix is read in the first window alone.
    const int64_t from = std::max<int64_t>(begin == 1 ? 0 : 1, end - most - 1);
    windows.push_back({.tokens = {all.begin() + from, all.begin() + end}, .context = begin - from});
  }
  return windows;
}

RequestEncoder::Prompt RequestEncoder::prompt(std::string_view text, int64_t new_tokens) const {
  const int64_t room = rules_.most_tokens - new_tokens;
  require(room > 0, ErrorKind::kData, kWhere,
          "max_tokens is {}, but the model reads at most {} tokens, prompt and answer together; "
          "ask for fewer",
          new_tokens, rules_.most_tokens);
  Prompt prompt{.tokens = tokens_of(text)};
  if (prompt.tokens.empty()) prompt.tokens = {rules_.prefix};
  if (std::ssize(prompt.tokens) > room) {
    prompt.truncated = true;
    prompt.tokens.erase(prompt.tokens.begin(), prompt.tokens.end() - room);
  }
  return prompt;
}

}  // namespace lathe
