// The tokens of one row as text, up to a stop string.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/tokenizer.h"

namespace lathe {

// Text is emitted as soon as it can no longer become part of a stop string, in whole characters;
// special tokens are not text. Not thread-safe; the tokenizer must outlive the stream.
class TextStream {
 public:
  // `stop` holds the stop strings; an empty one is ignored. `on_text` may be empty.
  TextStream(const Tokenizer& tokenizer, std::vector<std::string> stop,
             std::function<void(std::string_view)> on_text = {});

  // Takes the next token; false when the text now contains a stop string, which ends the row. An id
  // that the tokenizer does not have adds no text: a model's table is often padded.
  bool push(int32_t token);
  // Emits the rest. Returns the whole text without the stop string and what follows it.
  std::string finish();

 private:
  void release(size_t keep);

  const Tokenizer& tokenizer_;
  StreamDecoder decoder_;
  std::vector<std::string> stop_;
  std::function<void(std::string_view)> on_text_;
  size_t longest_stop_ = 0;
  std::string pending_, text_;
  bool stopped_ = false;
};

}  // namespace lathe
