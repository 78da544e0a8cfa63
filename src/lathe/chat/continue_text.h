// Text in, text out, without showing progress: the samples of a training run and of the demo.
#pragma once

#include <functional>
#include <string>

#include "lathe/infer/sampler/generation_config.h"
#include "lathe/model/transformer.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

// The text that the model generates after `prompt`, without the prompt; bytes that are not UTF-8
// (the last token may end within a character) become U+FFFD. `before_each` is called before each
// token is kept and may throw, which ends the generation. Errors: as generate().
std::string continue_text(Transformer& model, const Tokenizer& tokenizer, const std::string& prompt,
                          const GenerationConfig& config,
                          const std::function<void()>& before_each = {});

}  // namespace lathe
