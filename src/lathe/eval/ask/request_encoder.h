// Texts to the tokens whose log-likelihood is asked, as lm-evaluation-harness 0.4.13 encodes them: a score depends on
// where the border between prompt and continuation falls among the tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/infer/text_likelihood.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

struct RequestRules {
  int64_t most_tokens = 2048;  // that the model reads at once
  // Stands before a text with nothing before it: the token that begins a text, or the one that ends it.
  int32_t prefix = 0;
  std::string begin_text;  // the text of that token: a prompt that begins with it has it already
};

struct EncodedRequest {
  ScoredText text;
  bool truncated = false;  // the beginning was cut off
};

// Thread-safe. The tokenizer must outlive it.
class RequestEncoder {
 public:
  RequestEncoder(const Tokenizer& tokenizer, RequestRules rules);

  // Blanks at the end of the prompt belong to the continuation. Both are encoded together, and cut at the length of
  // the encoded prompt. An empty prompt is the prefix. Of more than most_tokens + 1 tokens the first ones are cut.
  // Errors: kData for a continuation that has no token of its own, or more than the model reads.
  EncodedRequest encode(std::string_view prompt, std::string_view continuation) const;
  // Windows of most_tokens that do not overlap; each but the first is predicted from as much before it as fits.
  std::vector<ScoredText> windows(std::string_view text) const;
  // A prompt behind which so many tokens still fit; else it loses its beginning. Error kData if no token of it fits.
  struct Prompt {
    std::vector<int32_t> tokens;
    bool truncated = false;
  };
  Prompt prompt(std::string_view text, int64_t new_tokens) const;

  const RequestRules& rules() const { return rules_; }

 private:
  std::vector<int32_t> tokens_of(std::string_view text) const;

  const Tokenizer& tokenizer_;
  RequestRules rules_;
};

}  // namespace lathe
