// The encoding speed of a tokenizer, measured as in practice: on documents, with nothing cached
// from before.
#pragma once

#include <cstdint>
#include <string_view>

#include "lathe/cli/frame/command.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

struct EncodeSpeed {
  double mb_per_s = 0;  // 10^6 bytes of text per second, the median of the passes
  int64_t bytes = 0, documents = 0, tokens = 0;
  int passes = 0;
};

// Splits `text` into documents of 4,000 characters and encodes all of them repeatedly for about
// `seconds`, but at least three times. Every pass starts with fresh encoders on thread_count()
// threads. Throws kData for an empty text.
EncodeSpeed measure_encode(const Tokenizer& tokenizer, std::string_view text, double seconds);

// `lathe bench tokenizer`.
Command bench_tokenizer_command();

}  // namespace lathe
