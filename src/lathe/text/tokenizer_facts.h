// What stands beside a tokenizer: which of its tokens begin and end a text, and how long a text it was made for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lathe/text/tokenizer.h"

namespace lathe {

struct TokenizerFacts {
  std::optional<int32_t> bos, eos;
  std::optional<int64_t> model_max_length;  // of tokenizer_config.json, where it is a limit
};

// At the place that `tokenizer` was loaded from. Nothing there is no error. Errors: kFormat for a damaged file.
TokenizerFacts read_tokenizer_facts(const std::string& tokenizer_path, const Tokenizer& tokenizer);

}  // namespace lathe
