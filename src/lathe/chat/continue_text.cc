#include "lathe/chat/continue_text.h"

#include "lathe/base/utf8.h"
#include "lathe/infer/generate.h"

namespace lathe {

std::string continue_text(Transformer& model, const Tokenizer& tokenizer, const std::string& prompt,
                          const GenerationConfig& config,
                          const std::function<void()>& before_each) {
  GenerateRequest request;
  request.prompts = {tokenizer.encode(prompt)};
  request.on_token = [&](size_t, int32_t) {
    if (before_each) before_each();
    return true;
  };
  auto out = generate(model, config, request);
  // A vocabulary that was rounded up has rows without a token; early in training they are drawn,
  // too.
  std::erase_if(out[0], [&](int32_t id) { return !tokenizer.has(id); });
  return replace_invalid_utf8(tokenizer.decode(out[0], {.skip_special = true}));
}

}  // namespace lathe
